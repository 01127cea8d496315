/**
 * The ledger's store: sums in an SQLite file, and a journal in front of it.
 *
 * What is decided between two `settle`, a turn of the event loop, becomes one record of the journal;
 * then the answers may be sent. Sums change in memory and are written to the file by folding. After a
 * crash the journal is read from where the last folding began.
 */

import { Name } from '../memory/name.ts'
import { LookupError } from '../system/errors.ts'
import { asLookupError } from '../system/sqlite.ts'
import { AccountPages, MOST_BYTES, type Sum } from './account-pages.ts'
import { type Change, changeOneByOne } from './change.ts'
import type { Decided } from './decided.ts'
import { REMEMBERED } from './decided-messages.ts'
import { type LedgerFile, openLedgerFile } from './file.ts'
import { Folding } from './folding.ts'
import { Journal } from './journal.ts'
import { BUCKETS, bucketAt, type CountingPeriod, Periods } from './period.ts'
import { DamagedLedger, type Durability } from './schema.ts'
import type { LedgerStore } from './store.ts'

export type { Sum } from './account-pages.ts'
export { type Durability, ForeignLedger } from './schema.ts'

/** True if this is the error of a file that neither SQLite nor this program can read. */
export function isDamaged(error: unknown): boolean {
  if (error instanceof DamagedLedger) return true
  const cause = error instanceof LookupError ? error.cause : undefined
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return code.startsWith('SQLITE_NOTADB') || code.startsWith('SQLITE_CORRUPT')
}

/**
 * `path` may be `:memory:`. `mostBytes`: memory for sums that are in the file as well. `periods`: shared
 * by stores that take one another's place. Throws LookupError: unreadable, another daemon's, or of another
 * version.
 */
export function openSqliteLedger(
  path: string,
  durability: Durability,
  { mostBytes = MOST_BYTES, periods = new Periods() }: SqliteLedgerOptions = {},
): SqliteLedger {
  const file = openLedgerFile(path, durability)
  try {
    // Counts in memory cannot be read back from anywhere.
    const journal = path === ':memory:' ? undefined : new Journal(path, durability, file.folded())
    return new SqliteLedger(
      path,
      file,
      journal,
      new AccountPages(file, mostBytes, periods),
      periods,
    )
  } catch (error) {
    file.close()
    throw error instanceof LookupError ? error : asLookupError(path, error)
  }
}

export interface SqliteLedgerOptions {
  readonly mostBytes?: number
  readonly periods?: Periods
}

/** What a store has in memory and has written since it was opened. */
export interface StoreFigures {
  readonly subjects: number
  /** Memory for sums and names. */
  readonly bytes: number
  readonly journalBytes: number
  readonly unfoldedBytes: number
  readonly foldings: number
}

export class SqliteLedger implements LedgerStore {
  readonly #path: string
  readonly #file: LedgerFile
  readonly #journal: Journal | undefined
  readonly #pages: AccountPages
  readonly #folding: Folding | undefined
  /** The subject in use, filled again and again. */
  #name: Name
  /** The text that `#name` has the bytes of: several limits in a row have the same subject. */
  #named: string | undefined
  /** The one before: some subjects, such as a domain, come with every message. */
  #otherName: Name
  #otherNamed: string | undefined
  readonly #newServices = new Map<string, boolean>()
  readonly periods: Periods
  /** What is being counted, for `#tell`. */
  #counting: CountingPeriod | undefined
  #now = 0
  /** Receives each bucket that changes; one function, lest a request make another. */
  readonly #tell = (bucket: number, used: number): void => {
    if (!this.#counting || this.#named === undefined) return
    this.#journal?.record.sum(this.#counting, bucket, this.#named, used, this.#now)
    this.#folding?.noteChange()
  }

  /** To be called by `openSqliteLedger` only. */
  constructor(
    path: string,
    file: LedgerFile,
    journal: Journal | undefined,
    pages: AccountPages,
    periods: Periods,
  ) {
    this.#path = path
    this.#file = file
    this.#journal = journal
    this.#pages = pages
    this.periods = periods
    this.#name = new Name(file.seed)
    this.#otherName = new Name(file.seed)
    if (!journal) return
    let hasSums = false
    journal.read(file.folded(), Number.POSITIVE_INFINITY, {
      periods,
      sum: (period, bucket, subject, used, now) => {
        pages.set(period, this.#name.ofBytes(subject), bucket, used, now)
        hasSums = true
      },
    })
    this.#folding = new Folding(file, journal, pages, () => this.settle())
    if (hasSums) this.#folding.noteChange()
  }

  /** Identifies the file and its copies. */
  get seed(): number {
    return this.#file.seed
  }

  /** What was found missing when it was opened, in words for the operator. */
  get loss(): string | undefined {
    return this.#journal?.loss
  }

  used(period: CountingPeriod, subject: string, now: number): number {
    return this.#pages.used(period, this.#nameOf(subject), now)
  }

  /** What is in one bucket of a period, whether it is in the window or not. Throws as `used`. */
  usedIn(period: CountingPeriod, subject: string, bucket: number): number {
    return this.#pages.usedIn(period, this.#nameOf(subject), bucket)
  }

  addWithin(
    period: CountingPeriod,
    subject: string,
    bucket: number,
    count: number,
    limit: number,
    now: number,
  ): number | undefined {
    this.#counting = period
    this.#now = now
    const name = this.#nameOf(subject)
    return this.#pages.addWithin(period, name, bucket, count, limit, now, this.#tell)
  }

  clear(period: CountingPeriod, subject: string, now: number): void {
    if (this.used(period, subject, now) === 0) return
    const current = bucketAt(period, now)
    const around = period.bucketMilliseconds === 0 ? 0 : BUCKETS
    // No bucket goes below 0, and none is further ahead than a window.
    for (let bucket = current - around; bucket <= current + around; bucket++) {
      this.addWithin(period, subject, bucket, -Number.MAX_SAFE_INTEGER, Infinity, now)
    }
  }

  changeAll(changes: readonly Change[], now: number): number {
    const { length } = changes
    const counted = this.#countNow(changes, now)
    if (counted === 0) return changeOneByOne(this, changes, now)
    this.#folding?.noteChange()
    const record = this.#journal?.record
    if (counted === length) {
      record?.sums(changes, now)
      return -1
    }
    for (const { period, bucket, subject, inBucket } of changes.slice(0, counted)) {
      record?.sum(period, bucket, subject, inBucket, now)
    }
    return changeOneByOne(this, changes, now, counted)
  }

  fitsAt(
    period: CountingPeriod,
    subject: string,
    count: number,
    limit: number,
    now: number,
  ): number | undefined {
    return this.#pages.fitsAt(period, this.#nameOf(subject), count, limit, now)
  }

  remember(message: string, decided: Decided, isNew: boolean): void {
    this.#journal?.record.decision(message, decided, isNew)
    this.#folding?.noteChange()
  }

  recall(tell: (message: Uint8Array, decided: Decided) => void): void {
    this.#journal?.read({ file: 0, offset: 0 }, REMEMBERED, {
      periods: this.periods,
      decision: tell,
    })
  }

  services(): Iterable<readonly [service: string, asksAtEnd: boolean]> {
    return this.#file.services()
  }

  rememberService(service: string, asksAtEnd: boolean): void {
    this.#newServices.set(service, asksAtEnd)
  }

  settle(): void {
    try {
      this.#journal?.settle()
    } catch (error) {
      throw asLookupError(this.#path, error)
    }
    if (this.#newServices.size > 0 && !this.#folding?.isHeld) this.#writeServices()
  }

  /** For monitoring. */
  figures(): StoreFigures {
    return {
      subjects: this.#pages.subjects,
      bytes: this.#pages.byteLength,
      journalBytes: this.#journal?.writtenBytes ?? 0,
      unfoldedBytes: this.#folding?.unfoldedBytes ?? 0,
      foldings: this.#folding?.completed ?? 0,
    }
  }

  /** True if the next folding should not wait for its time. */
  get shouldFoldNow(): boolean {
    return this.#folding?.isDue ?? false
  }

  /** Writes some of the pages with changes to the file; true if this folding has more to do. */
  fold(): boolean {
    try {
      return this.#folding?.fold() ?? false
    } catch (error) {
      throw error instanceof LookupError ? error : asLookupError(this.#path, error)
    }
  }

  /** Deletes some of the periods that were not written since `day`, `2026-11-20`; true if there may be more. */
  forgetBefore(day: string): boolean {
    if (this.#folding?.isHeld) return false
    this.#pages.forgetBefore(day)
    return this.#file.forgetBefore(day)
  }

  /** For everything counted from now on. */
  setDurability(durability: Durability): void {
    this.#journal?.setDurability(durability)
    this.#file.setDurability(durability)
  }

  /** True if one of the files was deleted or replaced while it was open. */
  isDetached(): boolean {
    return this.#file.isDetached() || (this.#journal?.isDetached ?? false)
  }

  /** Writes a copy of the file in small steps. Rejects with LookupError, leaving an earlier copy as it was. */
  async backUp(copy: string): Promise<void> {
    const work = (): Promise<void> => this.#file.backUp(copy)
    await (this.#folding ? this.#folding.hold(work) : work())
  }

  /**
   * All sums, or those of rolling windows and of this many periods of each counter, the newest. Changes
   * nothing.
   */
  sums(newest = Number.POSITIVE_INFINITY): Iterable<Sum> {
    return this.#pages.sums(newest)
  }

  /** The sums in memory; nothing is read. */
  sumsInMemory(): Iterable<Sum> {
    return this.#pages.sumsInMemory()
  }

  /** Sets sums, whatever they were, and writes them to the file. */
  absorb(sums: Iterable<Sum>): void {
    for (const [period, subject, bucket, used] of sums) {
      this.#pages.set(period, this.#nameOf(subject), bucket, used)
    }
    this.#folding?.noteChange()
    this.#folding?.foldAll()
  }

  /** Writes everything to the file and closes it. Throws LookupError if that fails; it is closed all the same. */
  close(): void {
    try {
      this.settle()
    } catch {
      // What the journal does not take goes into the file.
      this.#journal?.drop()
    }
    try {
      this.#folding?.foldAll()
    } finally {
      this.abandon()
    }
  }

  /** Closes the files without writing anything more. */
  abandon(): void {
    this.#journal?.close()
    this.#file.close()
  }

  #nameOf(subject: string): Name {
    if (subject === this.#named) return this.#name
    const [name, named] = [this.#otherName, this.#otherNamed]
    this.#otherName = this.#name
    this.#otherNamed = this.#named
    this.#name = subject === named ? name : name.of(subject)
    this.#named = subject
    return this.#name
  }

  /** Makes the first changes, as long as each is an ordinary one (`AccountPages.count`): how many. */
  #countNow(changes: readonly Change[], now: number): number {
    let subject: string | undefined
    let account = -1
    for (let i = 0; i < changes.length; i++) {
      const change = changes[i]
      if (!change) return i
      if (change.subject !== subject) {
        subject = change.subject
        account = this.#pages.find(this.#nameOf(subject))
      }
      if (account < 0 || !this.#pages.count(account, change, now)) return i
    }
    return changes.length
  }

  /** No count depends on them: those that cannot be written are tried again later. */
  #writeServices(): void {
    try {
      for (const [service, asksAtEnd] of this.#newServices) {
        this.#file.putService(service, asksAtEnd)
        this.#newServices.delete(service)
      }
    } catch (error) {
      if (isDamaged(error)) throw error
    }
  }
}
