/**
 * The ledger's durable part: sums in an SQLite file, and a journal in front of it.
 *
 * What is decided between two `settle`, a turn of the event loop, is one record of the journal, and
 * the answers may leave. Sums change in memory. Once a minute, or when the journal has grown, the
 * pages with changes are written to the file, a few at a time: that is folding. After a crash the
 * journal is read from where the last folding began; sums are absolute, so what is read twice does
 * no harm.
 */

import { REMEMBERED } from '../policy/decided.ts'
import { LookupError } from '../policy/errors.ts'
import type { LedgerStore } from '../policy/ledger.ts'
import { Name } from '../policy/name.ts'
import { AccountPages, MOST_BYTES, type PlacedPage, readPage, type Sum } from './account-pages.ts'
import { JOURNAL_FILE_BYTES, Journal, type JournalPlace } from './journal.ts'
import {
  DamagedLedger,
  type Durability,
  type LedgerFile,
  openLedgerFile,
  PAGES,
  type PackedPage,
} from './ledger-file.ts'
import { asLookupError } from './sqlite.ts'

export type { Sum } from './account-pages.ts'
export { type Durability, ForeignLedger } from './ledger-file.ts'

export interface SqliteLedgerStore extends LedgerStore {
  /** Of the file and of its copies; every other file has another. */
  readonly seed: number
  /** What was found missing at the start, in words for the operator. */
  readonly loss: string | undefined
  /** Has so much come since the last folding that the next should not wait for its time? */
  readonly isFull: boolean
  /** Folds and forgets in small steps; true if there is more to do. Days before `day` go, and messages before the newest `REMEMBERED`. */
  forget(day: string): boolean
  /** From what is counted next on. */
  setDurability(durability: Durability): void
  /** Has somebody deleted or replaced one of the files under our hands? */
  isDetached(): boolean
  /** Writes a copy of the file, a little between other work. Rejects with LookupError; the copy of before stays then. */
  backUp(copy: string): Promise<void>
  /** All sums in the file and the journal, or those of the newest days. Folds first. */
  sums(days?: number): Iterable<Sum>
  /** The sums in memory: nothing is read. */
  remembered(): Iterable<Sum>
  /** Sets sums, whatever they were, and folds. */
  absorb(sums: Iterable<Sum>): void
  close(): void
  /** Closes damaged files: nothing more is written. */
  abandon(): void
}

/** Is this the error of a file that SQLite, or we, cannot make sense of? */
export function isDamaged(error: unknown): boolean {
  if (error instanceof DamagedLedger) return true
  const cause = error instanceof LookupError ? error.cause : undefined
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return code.startsWith('SQLITE_NOTADB') || code.startsWith('SQLITE_CORRUPT')
}

/** Of pages, written by one step of folding: about a millisecond of work. */
const STEP_BYTES = 256 * 1024
/** Of the journal, not folded: what a start after a crash has to read. */
const MOST_UNFOLDED_BYTES = JOURNAL_FILE_BYTES

/**
 * `mostBytes`: kept in memory of sums that are in the file, too. Throws LookupError: unreadable, another
 * daemon's, or of another version.
 */
export function openSqliteLedger(
  path: string,
  durability: Durability,
  mostBytes = MOST_BYTES,
): SqliteLedgerStore {
  const file = openLedgerFile(path, durability)
  try {
    // Counts in memory have nothing to be read back from.
    const journal =
      path === ':memory:' ? undefined : new Journal(path, durability === 'full', file.folded())
    return openStore(path, file, journal, new AccountPages(file, mostBytes))
  } catch (error) {
    file.close()
    throw error instanceof LookupError ? error : asLookupError(path, error)
  }
}

function isBefore(one: JournalPlace, other: JournalPlace): boolean {
  return one.file < other.file || (one.file === other.file && one.offset < other.offset)
}

function openStore(
  path: string,
  file: LedgerFile,
  journal: Journal | undefined,
  pages: AccountPages,
): SqliteLedgerStore {
  /** The account at hand. */
  const named = new Name(file.seed)
  const newServices = new Map<string, boolean>()
  let foldedTo = file.folded()
  /** What is being folded, and up to where the journal is of no use any more after that. */
  let folding: PlacedPage[] = []
  let foldingTo = foldedTo
  /** Has anything been counted since the last folding began? */
  let isChanged = false
  /** Has the forgetting that is under way folded already? */
  let isFolded = false
  /** The file is being copied, and must stay as it is. */
  let isBackingUp = false

  journal?.read(foldedTo, Number.POSITIVE_INFINITY, {
    sum(scope, day, account, used) {
      pages.set(scope, day, named.ofBytes(account), used)
      isChanged = true
    },
  })

  // A journal that ends before that place would not be read up to where it goes on now.
  if (journal && isBefore(journal.place, foldedTo)) {
    const { place } = journal
    file.writePages([], () => place)
    foldedTo = place
  }

  function settle(): void {
    try {
      journal?.settle()
    } catch (error) {
      throw asLookupError(path, error)
    }
    if (newServices.size > 0 && !isBackingUp) writeServices()
  }

  /** No count rests on them: those that cannot be written are tried again with the next. */
  function writeServices(): void {
    try {
      for (const [service, asksAtEnd] of newServices) {
        file.putService(service, asksAtEnd)
        newServices.delete(service)
      }
    } catch (error) {
      if (isDamaged(error)) throw error
    }
  }

  /** Writes some of the pages with changes; true if there are more. */
  function fold(mostBytes: number): boolean {
    if (!journal) return false
    if (folding.length === 0 && !isChanged) {
      pages.letGo()
      return false
    }
    // First the journal: a sum in the file whose message is not known would count it twice.
    try {
      settle()
    } catch (error) {
      // Where the journal takes nothing any more, sums are kept all the same.
      if (!journal.hasGivenUp) throw error
    }
    if (folding.length === 0) {
      foldingTo = journal.place
      folding = pages.changed()
      isChanged = false
      journal.hasGivenUp = false
    }
    const step: PlacedPage[] = []
    const isLast = (): boolean => step.length === folding.length
    file.writePages(packed(step, mostBytes), () => (isLast() ? foldingTo : undefined))
    for (const { page } of step) page.noteWritten()
    const isDone = isLast()
    folding = folding.slice(step.length)
    if (!isDone) return true
    foldedTo = foldingTo
    pages.letGo()
    return false
  }

  /** The next pages to be folded, up to so many bytes; `step` is told which. */
  function* packed(step: PlacedPage[], mostBytes: number): Iterable<PackedPage> {
    let bytes = 0
    for (const next of folding) {
      if (bytes >= mostBytes || next.period.id === undefined) return
      const { sums, names } = next.page.pack()
      step.push(next)
      bytes += sums.length + (names?.length ?? 0)
      yield { period: next.period.id, number: next.number, sums, names }
    }
  }

  function foldAll(): void {
    // What was begun, and what has changed since.
    fold(Number.POSITIVE_INFINITY)
    fold(Number.POSITIVE_INFINITY)
  }

  return {
    seed: file.seed,
    loss: journal?.loss,

    used: (scope, account, day) => pages.used(scope, day, named.of(account)),

    addWithin(scope, account, day, count, limit) {
      const name = named.of(account)
      const used = pages.addWithin(scope, day, name, count, limit)
      if (used === undefined) return undefined
      journal?.record.sum(scope, day, name, used)
      isChanged = true
      return used
    },

    remember(message, decided, isNew) {
      journal?.record.decision(message, decided, isNew)
      isChanged = true
    },

    recall(tell) {
      journal?.read({ file: 0, offset: 0 }, REMEMBERED, { decision: tell })
    },

    services: () => file.services(),

    rememberService(service, asksAtEnd) {
      newServices.set(service, asksAtEnd)
    },

    settle,

    get isFull() {
      if (!journal) return false
      const isMuch = journal.bytesSince(foldedTo) >= MOST_UNFOLDED_BYTES || pages.hasReadMany
      return journal.hasGivenUp || isMuch
    },

    forget(day) {
      if (isBackingUp) return false
      // Once: under load there is always something more to fold.
      if (!isFolded && fold(STEP_BYTES)) return true
      isFolded = true
      try {
        journal?.release(foldedTo, REMEMBERED)
      } catch (error) {
        throw asLookupError(path, error)
      }
      pages.forgetBefore(day)
      isFolded = file.forgetBefore(day)
      return isFolded
    },

    setDurability(durability) {
      if (journal) journal.isDurable = durability === 'full'
      file.setDurability(durability)
    },

    isDetached: () => file.isDetached() || (journal?.isDetached ?? false),

    async backUp(copy) {
      isBackingUp = true
      try {
        await file.backUp(copy)
      } finally {
        isBackingUp = false
      }
    },

    *sums(days = Number.POSITIVE_INFINITY) {
      foldAll()
      const periods = file.periods()
      const newest = new Set([...new Set(periods.map(({ day }) => day))].toSorted().slice(-days))
      for (const { id, scope, day } of periods.filter(period => newest.has(period.day))) {
        for (let number = 0; number < PAGES; number++) {
          const page = readPage(file, { id, day }, number)
          for (const [account, used] of page?.sums() ?? []) yield [scope, day, account, used]
        }
      }
    },

    remembered: () => pages.sums(),

    absorb(sums) {
      for (const [scope, day, account, used] of sums) {
        pages.set(scope, day, named.of(account), used)
      }
      isChanged = true
      foldAll()
    },

    abandon() {
      journal?.close()
      file.close()
    },

    close() {
      try {
        settle()
      } catch {
        if (journal) journal.hasGivenUp = true
      }
      foldAll()
      journal?.close()
      file.close()
    },
  }
}
