/**
 * The ledger's durable part in one SQLite file.
 *
 * What was decided between two `settle`, a turn of the event loop, is one row of the table `turn`:
 * fifty requests cost one insert at the end of the file. New sums live in memory until `forget`
 * or `close` folds them into the table `usage`; after a crash they are read from the turns that
 * were not folded. WAL with synchronous=NORMAL survives the death of the process; `full` also a
 * power cut. The file is locked exclusively for the life of the process, so a second daemon on the
 * same state directory is refused at start.
 */

import { chmodSync, renameSync, rmSync, statSync } from 'node:fs'
import { LookupError } from '../policy/errors.ts'
import { type Decided, type LedgerStore, REMEMBERED } from '../policy/ledger.ts'
import { ownText } from '../policy/own-text.ts'
import { asLookupError, openSqlite } from './sqlite.ts'

/** Raised with every change of the tables; an older program refuses a newer file. */
const SCHEMA_VERSION = 1

const SCHEMA = `
CREATE TABLE usage (
  scope TEXT NOT NULL, day TEXT NOT NULL, account TEXT NOT NULL, used INTEGER NOT NULL,
  PRIMARY KEY (scope, day, account)
) WITHOUT ROWID;
CREATE TABLE turn (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, facts TEXT NOT NULL);
CREATE TABLE folded (turn INTEGER NOT NULL);
INSERT INTO folded VALUES (0);
CREATE TABLE service (
  name TEXT PRIMARY KEY, asks_at_end INTEGER NOT NULL
) WITHOUT ROWID;
`

/** The sum of an account's day, as this turn will write it. */
interface Count {
  readonly scope: string
  readonly day: string
  readonly account: string
  used: number
  /** Its place in the turn. */
  readonly index: number
}

/**
 * What is kept of one turn, as JSON. Tuples, because this is written with every turn: what is left
 * out of it is not written to the disk either. A decision names its account by the place in `counts`.
 */
interface Facts {
  readonly counts: readonly CountTuple[]
  readonly decided: readonly DecidedTuple[]
}
type CountTuple = readonly [scope: string, day: string, account: string, used: number]
type DecidedTuple = readonly [
  count: number,
  instance: string,
  accepted: 0 | 1,
  counted: number,
  final: 0 | 1,
]

/** The file is well, and it is not ours: another daemon's, or a newer program's. Nothing may go on without it. */
export class ForeignLedger extends LookupError {}

/** The sum of an account's day. */
export type Sum = readonly [scope: string, day: string, account: string, used: number]

/** Is this the error of a file that SQLite cannot make sense of? */
export function isDamaged(error: unknown): boolean {
  const cause = error instanceof LookupError ? error.cause : undefined
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return code.startsWith('SQLITE_NOTADB') || code.startsWith('SQLITE_CORRUPT')
}

export type Durability = 'normal' | 'full'

export interface SqliteLedgerStore extends LedgerStore {
  /** Are there so many sums in memory that they should be folded now? */
  readonly isFull: boolean
  /** Folds and forgets in small steps; true if there is more to do. Days before `day` and messages decided before `at` go. */
  forget(day: string, at: number): boolean
  /** Has somebody deleted or replaced the file, or its journal, under our hands? */
  isDetached(): boolean
  /** Writes a copy, a little between other work. Rejects with LookupError; the copy of before stays then. */
  backUp(copy: string): Promise<void>
  /** Every sum there is. Only for a store that takes no more: it is folded whole. */
  sums(): Iterable<Sum>
  /** The sums that are in memory: nothing is read from the file. */
  unfolded(): Iterable<Sum>
  /** Sets a sum, whatever it was. */
  absorb(...sum: Sum): void
  close(): void
  /** Closes a damaged file: nothing more is written. */
  abandon(): void
}

/**
 * A checkpoint waits for the disk, within the insert that hits this mark: at SQLite's 1000 pages
 * that is one turn in some hundred under load, which the slowest 1 % of all answers show.
 */
const CHECKPOINT_PAGES = 4000

/** Rows one step of `forget` folds or removes: about a millisecond of work. */
const STEP = 300

/**
 * Sums kept in memory before they are folded, about 100 bytes each. The more there are, the more of
 * them share a page of the table, and a page is what is written.
 */
const MOST_UNFOLDED = 60_000

/** Pages of 4 KiB that a backup copies at once. */
const BACKUP_PAGES = 100

/** Throws LookupError: unreadable, another daemon's, or made by a newer version. */
export function openSqliteLedger(path: string, durability: Durability): SqliteLedgerStore {
  const db = openSqlite(path, 0)
  try {
    // The journal gets the file's mode.
    if (path !== ':memory:') chmodSync(path, 0o600)
    db.pragma('locking_mode = EXCLUSIVE')
    db.pragma('journal_mode = WAL')
    db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
    db.pragma(`synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`)
    db.transaction(() => {
      const version = Number(db.pragma('user_version', { simple: true }))
      if (version > SCHEMA_VERSION) {
        throw new ForeignLedger(
          `${path} was written by a newer version (schema ${version}, this program knows ${SCHEMA_VERSION})`,
        )
      }
      if (version < SCHEMA_VERSION) {
        db.exec(SCHEMA)
        db.pragma(`user_version = ${SCHEMA_VERSION}`)
      }
    }).immediate()
  } catch (error) {
    db.close()
    if (error instanceof LookupError) throw error
    if (error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY') {
      throw new ForeignLedger(`${path} is in use by another daemon`, { cause: error })
    }
    throw asLookupError(path, error)
  }

  const selectUsed = db
    .prepare<[string, string, string], number>(
      'SELECT used FROM usage WHERE scope = ? AND day = ? AND account = ?',
    )
    .pluck()
  const putUsed = db.prepare<[string, string, string, number]>(
    'INSERT OR REPLACE INTO usage VALUES (?, ?, ?, ?)',
  )
  const insertTurn = db.prepare<[number, number, string]>('INSERT INTO turn VALUES (?, ?, ?)')
  const putService = db.prepare<[string, number]>('INSERT OR REPLACE INTO service VALUES (?, ?)')
  const setFolded = db.prepare<[number]>('UPDATE folded SET turn = ?')

  // Sums newer than their row in `usage`: of this turn, of earlier ones, and those being folded.
  let counts = new Map<string, Count>()
  let last: Count | undefined
  let decided: DecidedTuple[] = []
  let recent = new Map<string, number>()
  let folding = new Map<string, number>()
  /** The keys of `folding` in the order of the table, and how many of them are done. */
  let foldingKeys: string[] = []
  let folded = 0
  const newServices = new Map<string, boolean>()
  let lastTurn = 0
  let foldingTurn = 0
  let lastAt = 0

  function guarded<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw asLookupError(path, error)
    }
  }

  function usedNow(scope: string, account: string, day: string): number {
    return usedUnder(keyOf(scope, day, account), scope, account, day)
  }

  function usedUnder(key: string, scope: string, account: string, day: string): number {
    const newest = counts.get(key)?.used ?? recent.get(key) ?? folding.get(key)
    return newest ?? guarded(() => selectUsed.get(scope, day, account)) ?? 0
  }

  /** The account's sum as this turn will write it. */
  function countOf(scope: string, day: string, account: string): Count {
    // What is counted is remembered next: most often it is the same sum again.
    if (last?.account === account && last.day === day && last.scope === scope) return last
    const key = keyOf(scope, day, account)
    let count = counts.get(key)
    if (!count) {
      const used = usedUnder(key, scope, account, day)
      count = { scope, day, account, used, index: counts.size }
      counts.set(ownText(key), count)
    }
    last = count
    return count
  }

  function readUnfolded(): void {
    const rows = db.prepare<[], [number, string]>(
      'SELECT id, facts FROM turn WHERE id > (SELECT turn FROM folded) ORDER BY id',
    )
    // Numbers of turns only ever rise, also when all turns have been forgotten.
    lastTurn = db.prepare<[], number>('SELECT turn FROM folded').pluck().get() ?? 0
    for (const [id, facts] of rows.raw().iterate()) {
      for (const [scope, day, account, used] of parseFacts(facts).counts) {
        recent.set(keyOf(scope, day, account), used)
      }
      lastTurn = id
    }
  }

  function settle(): void {
    if (newServices.size > 0) writeServices()
    if (counts.size === 0 && decided.length === 0) return
    if (decided.length > REMEMBERED) decided = decided.slice(-REMEMBERED)
    const facts: Facts = { counts: Array.from(counts.values(), asTuple), decided }
    // One statement is one transaction. If it fails, this turn is written with the next one.
    guarded(() => insertTurn.run(lastTurn + 1, lastAt, JSON.stringify(facts)))
    lastTurn++
    for (const [key, { used }] of counts) recent.set(key, used)
    counts = new Map()
    last = undefined
    decided = []
  }

  function writeServices(): void {
    for (const [service, asksAtEnd] of newServices) {
      guarded(() => putService.run(service, asksAtEnd ? 1 : 0))
      newServices.delete(service)
    }
  }

  /** Brings at most so many sums into `usage`; true if there are more of the same batch. */
  function fold(most: number): boolean {
    if (folding.size === 0) {
      if (recent.size === 0) return false
      folding = recent
      recent = new Map()
      foldingTurn = lastTurn
      foldingKeys = [...folding.keys()].toSorted()
      folded = 0
    }
    const batch = foldingKeys.slice(folded, folded + most)
    const isLast = folded + batch.length === foldingKeys.length
    db.transaction(() => {
      for (const key of batch) {
        const [scope, day, account] = partsOf(key)
        putUsed.run(scope, day, account, folding.get(key) ?? 0)
      }
      if (isLast) setFolded.run(foldingTurn)
    })()
    folded += batch.length
    if (isLast) {
      folding = new Map()
      foldingKeys = []
    }
    return !isLast
  }

  const fileInode = inodeOf(path)
  let journalInode = inodeOf(`${path}-wal`)

  function foldAll(): void {
    do fold(Number.POSITIVE_INFINITY)
    while (recent.size > 0)
  }

  guarded(readUnfolded)

  return {
    used: usedNow,

    addWithin(scope, account, day, count, limit) {
      const sum = countOf(scope, day, account)
      const used = Math.max(0, sum.used + count)
      if (used > limit) return undefined
      sum.used = used
      return used
    },

    remember({ scope, instance, account, day, accepted, counted, stage, at }) {
      const { index } = countOf(scope, day, account)
      const isFinal = stage === 'END-OF-MESSAGE'
      decided.push([index, instance, accepted ? 1 : 0, counted, isFinal ? 1 : 0])
      lastAt = at
    },

    recall(since, most) {
      const rows = db
        .prepare<[number], [number, string]>(
          'SELECT at, facts FROM turn WHERE at >= ? ORDER BY id DESC',
        )
        .raw()
      const newestFirst: Decided[] = []
      for (const [at, facts] of rows.iterate(since)) {
        newestFirst.push(...decidedOf(parseFacts(facts), at).reverse())
        if (newestFirst.length >= most) break
      }
      return newestFirst.slice(0, most).reverse()
    },

    services() {
      return db
        .prepare<[], [string, number]>('SELECT name, asks_at_end FROM service')
        .raw()
        .all()
        .map(([name, asksAtEnd]) => [name, asksAtEnd === 1] as const)
    },

    rememberService(service, asksAtEnd) {
      newServices.set(service, asksAtEnd)
    },

    settle,

    forget(day, at) {
      return guarded(() => {
        const isFolding = fold(STEP)
        const turns = db.prepare<[number, number]>(
          `DELETE FROM turn WHERE id IN
           (SELECT id FROM turn WHERE id <= (SELECT turn FROM folded) ORDER BY id LIMIT ${STEP})
           AND (at < ? OR id <= ?)`,
        )
        const usage = db.prepare(
          `DELETE FROM usage WHERE (scope, day, account) IN
           (SELECT scope, day, account FROM usage WHERE scope = ? AND day < ? LIMIT ${STEP})`,
        )
        // Scopes are few and lead the key: a seek each instead of a scan.
        const nextScope = db
          .prepare<[string], string | null>('SELECT min(scope) FROM usage WHERE scope > ?')
          .pluck()
        let changes = turns.run(at, lastTurn - REMEMBERED).changes
        let scope = nextScope.get('')
        while (scope) {
          changes += usage.run(scope, day).changes
          scope = nextScope.get(scope)
        }
        return isFolding || changes >= STEP
      })
    },

    get isFull() {
      return recent.size >= MOST_UNFOLDED
    },

    isDetached() {
      if (path === ':memory:') return false
      const journal = inodeOf(`${path}-wal`)
      // It is made with the first write and stays until the end.
      journalInode ??= journal
      return inodeOf(path) !== fileInode || journal !== journalInode
    },

    async backUp(copy) {
      const fresh = `${copy}.new`
      rmSync(fresh, { force: true })
      try {
        await db.backup(fresh, { progress: () => BACKUP_PAGES })
        chmodSync(fresh, 0o600)
        renameSync(fresh, copy)
      } catch (error) {
        throw asLookupError(copy, error)
      } finally {
        rmSync(fresh, { force: true })
      }
    },

    sums() {
      guarded(foldAll)
      return db
        .prepare<[], [string, string, string, number]>(
          'SELECT scope, day, account, used FROM usage',
        )
        .raw()
        .iterate()
    },

    *unfolded() {
      for (const sums of [folding, recent]) {
        for (const [key, used] of sums) yield [...partsOf(key), used] as const
      }
      for (const { scope, day, account, used } of counts.values()) yield [scope, day, account, used]
    },

    absorb(scope, day, account, used) {
      countOf(scope, day, account).used = used
    },

    abandon: () => db.close(),

    close() {
      settle()
      foldAll()
      db.close()
    },
  }
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino
}

/** Day and account have no line feed; an operator's name for a counter may have one. */
function keyOf(scope: string, day: string, account: string): string {
  return `${scope}\n${day}\n${account}`
}

function partsOf(key: string): readonly [scope: string, day: string, account: string] {
  const account = key.lastIndexOf('\n')
  const day = key.lastIndexOf('\n', account - 1)
  return [key.slice(0, day), key.slice(day + 1, account), key.slice(account + 1)]
}

/** Written by `settle` above, into a file that is ours alone. */
function parseFacts(json: string): Facts {
  return JSON.parse(json) as Facts
}

function asTuple({ scope, day, account, used }: Count): CountTuple {
  return [scope, day, account, used]
}

/** All decisions of a turn count as taken at its end. */
function decidedOf({ counts, decided }: Facts, at: number): Decided[] {
  return decided.flatMap(([index, instance, accepted, counted, final]) => {
    const count = counts[index]
    if (!count) return []
    const [scope, day, account] = count
    const stage = final === 1 ? 'END-OF-MESSAGE' : 'DATA'
    return [{ scope, instance, account, day, accepted: accepted === 1, counted, stage, at }]
  })
}
