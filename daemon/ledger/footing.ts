/**
 * Where the ledger counts at the moment, and what it owes to its file.
 *
 *   closed ─open─▶ file      the file can be written
 *                  copy      it can only be read: counting continues in a copy, which is merged later
 *                  memory    it cannot even be read, or there is no room for a copy
 *
 * opening.ts finds the first footing, recovery.ts a better one; neither has a state of its own, and
 * test/ledger/footing.test.ts is their table.
 */

import type { SqliteLedger } from './sqlite-ledger.ts'

interface Standing {
  readonly store: SqliteLedger
  /** When a damaged file was last replaced, milliseconds since 1970. */
  readonly replacedAt: number
  /** Why the last decisions could not be made durable. */
  readonly unsettled?: string | undefined
}

/** What happened to the file. */
export type Notice =
  /** `backup`: when the backup in use was made; undefined if there was none. */
  | { kind: 'damaged'; at: number; aside: string; backup: string | 'damaged' | undefined }
  | { kind: 'rewritten'; at: number; path: string }
  | { kind: 'loss'; what: string }

type Health = 'sound' | 'damaged'

export interface OnFile extends Standing {
  readonly kind: 'file'
  readonly health: Health
  readonly notice: Notice | undefined
}

export interface OnCopy extends Standing {
  readonly kind: 'copy'
  readonly health: Health
  readonly cause: string
  /** True if an earlier run counted in it. */
  readonly isInherited: boolean
}

export interface InMemory extends Standing {
  readonly kind: 'memory'
  readonly cause: string
  /** Sums in memory that are totals, not additions to the file's (`keysOf`). */
  readonly whole: ReadonlySet<string>
  /** True if the backup is still to be put into the place of a damaged file. */
  readonly owesBackup: boolean
}

/** A ledger that is shared with other hosts will be one more kind: `shared`. */
export type Footing = { readonly kind: 'closed' } | OpenFooting
export type OpenFooting = OnFile | OnCopy | InMemory

/** What keeps counts from being durable, or what happened to them; undefined if nothing is wrong. */
export function describe(footing: Footing): string | undefined {
  if (footing.kind === 'closed') return undefined
  if (footing.unsettled !== undefined) {
    return `cannot write the ledger (${footing.unsettled}); the latest counts are in memory only`
  }
  switch (footing.kind) {
    case 'file':
      return footing.notice && describeNotice(footing.notice)
    case 'copy':
      return `cannot write the ledger (${footing.cause}); counting continues in a temporary copy`
    case 'memory':
      return `cannot use the ledger (${footing.cause}); counting continues in memory only`
  }
}

function describeNotice(notice: Notice): string {
  switch (notice.kind) {
    case 'loss':
      return notice.what
    case 'rewritten':
      return `${notice.path} or a file beside it was deleted or replaced while in use; it was written again at ${iso(notice.at)}`
    case 'damaged': {
      const found = `found at ${iso(notice.at)}, kept as ${notice.aside}`
      if (notice.backup === 'damaged') return `the ledger and its backup were damaged (${found})`
      const instead =
        notice.backup === undefined
          ? 'there was no backup'
          : `the backup of ${notice.backup} is in use`
      return `the ledger was damaged (${found}); ${instead}`
    }
  }
}

function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}
