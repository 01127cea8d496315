/** The addresses that alerts are mailed to. */

/** Those of a list separated by commas, each once. */
export function addressesIn(list: string): string[] {
  const found = list.split(',').map(one => one.trim())
  return [...new Set(found.filter(address => address !== ''))]
}

/**
 * The address of an account: only one that is certainly an address of its own. A name with spaces,
 * quotes or slashes is a login name and nothing else.
 */
export function addressOfAccount(account: string, defaultDomain: string): string | undefined {
  const isWhole = account.includes('@') || defaultDomain === ''
  const address = isWhole ? account : `${account}@${defaultDomain}`
  // Lengths: RFC 5321, 4.5.3.1.
  const isPlain =
    /^[\p{L}\p{N}_][\p{L}\p{N}._+=~'-]{0,63}(?:@[\p{L}\p{N}][\p{L}\p{N}.-]{0,254})?$/u.test(address)
  return isPlain ? address : undefined
}
