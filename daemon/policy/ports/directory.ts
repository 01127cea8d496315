/** An LDAP directory as policy sees it. */

/** Values by attribute, in lower case. */
export type DirectoryEntry = Readonly<Record<string, readonly string[]>>

export interface Directory {
  /**
   * Entries below `base` that fit `filter` (RFC 4515), at most `most`. Undefined: the directory
   * refused the search itself (no such base, a filter it does not understand). Rejects with
   * LookupError if it cannot be reached, or does not let us in.
   */
  search(
    base: string,
    filter: string,
    attributes: readonly string[],
    most: number,
  ): Promise<readonly DirectoryEntry[] | undefined>
}
