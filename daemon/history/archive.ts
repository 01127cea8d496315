/**
 * The history as its thread has it: the file, what of the spool is not in it yet, and in memory what has to be
 * found at once. A portion of the spool is written to the file once a minute, or when it is large; until then it
 * is in memory, and after a kill it is read again from the spool, whose place is part of the transaction.
 *
 * A reader sees the file as the last portion has left it (`reader`), and `portions`, which are not in it.
 */

import { setImmediate } from 'node:timers/promises'
import type { Gap } from '../policy/ports/history.ts'
import { describeError } from '../system/errors.ts'
import type { SqliteDatabase } from '../system/sqlite.ts'
import { Accounts } from './accounts.ts'
import { checkpoint } from './checkpoint.ts'
import { Fold, noteHeads } from './fold.ts'
import { Heads } from './heads.ts'
import { firstOfHourPage, hourKey, hourOfKey, readHourPage } from './hour-page.ts'
import { HourTotals } from './hour-totals.ts'
import { Instances } from './instances.ts'
import { keptInstances, restoreInstances } from './instances-kept.ts'
import { Portion } from './portion.ts'
import { addPortion, Recent } from './recent.ts'
import { isBefore, type SpoolPlace, spoolFilesOf } from './spool-files.ts'
import { nextFrames } from './spool-reader.ts'
import { inodeOf, isUnusable, openToRead, openToWrite, UnusableHistory } from './store.ts'
import { type Memory, takeFrame } from './taking.ts'

/** Then a portion is written. */
const PORTION_BYTES = 24 * 1024 * 1024
/** Items of a portion, messages and changes of sums. */
const PORTION_ITEMS = 400_000
/** Without a pause for those that ask. */
const STEP_MILLISECONDS = 8
/** The latest that `status` shows. */
const MOST_GAPS = 100

export class Archive {
  readonly path: string
  readonly #db: SqliteDatabase
  readonly reader: SqliteDatabase
  readonly accounts: Accounts
  readonly heads = new Heads()
  readonly totals = new HourTotals()
  readonly #instances: Instances
  /** Sums of the last day; and others that a reader waits for. */
  readonly recents = new Set<Recent>()
  readonly #fold: Fold
  /** Written, or to be written, next. */
  #full: Portion | undefined
  #current: Portion
  /** What is done with the file, one after the other. */
  #last: Promise<unknown> = Promise.resolve()
  #reading: Promise<void> | undefined
  /** Why the file is of no use any more. */
  #failure: unknown
  #isClosed = false
  /** Why the last portion could not be written. */
  problem: string | undefined
  /** Up to here the spool is in the file. */
  taken: SpoolPlace
  readonly #inode: number

  /** Throws UnusableHistory, LookupError, or SQLite's errors. */
  constructor(path: string) {
    this.path = path
    this.#db = openToWrite(path)
    this.#inode = inodeOf(path)
    try {
      this.reader = openToRead(path)
      const seed = this.#seed()
      this.accounts = new Accounts(seed)
      this.#instances = new Instances(seed)
      this.#fold = new Fold(this.#db)
      this.taken = this.#restore()
      this.#current = new Portion(this.#lastPortion() + 1, this.taken)
      restoreInstances(this.reader, this.#instances)
    } catch (error) {
      this.#db.close()
      throw error
    }
  }

  /** False: the file was deleted or replaced while in use. */
  get isInPlace(): boolean {
    return inodeOf(this.path) === this.#inode
  }

  /** Those that are not in the file, oldest first. */
  get portions(): readonly Portion[] {
    return this.#full ? [this.#full, this.#current] : [this.#current]
  }

  get gaps(): Gap[] {
    const select = this.reader.prepare<[number], Gap>(
      'SELECT "from", "to", missing, why FROM gap ORDER BY number DESC LIMIT ?',
    )
    const kept = select.all(MOST_GAPS).reverse()
    return [...kept, ...this.portions.flatMap(({ gaps }) => gaps)].slice(-MOST_GAPS)
  }

  noteGap(gap: Gap): void {
    this.#current.gaps.push(gap)
  }

  /** Reads the spool up to that place, or to its end; not further than can be held in memory. */
  async catchUp(to?: SpoolPlace): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    while (!this.#isClosed && (to === undefined || isBefore(this.#current.end, to))) {
      const before = this.#current.end
      this.#reading ??= this.#read().finally(() => {
        this.#reading = undefined
      })
      await this.#reading
      const { end } = this.#current
      if (end.file === before.file && end.offset === before.offset) return
    }
  }

  async #read(): Promise<void> {
    if (this.#isFull && this.#full && !(await this.write())) return
    if (this.#isClosed) return
    if (this.#isFull) {
      // Reading continues meanwhile.
      this.#beginNext()
      this.write().catch(error => {
        this.#failure = error
      })
    }
    const portion = this.#current
    const found = nextFrames(this.path, portion.end)
    if (!found) return
    const reading = portion.hold(found.bytes)
    const memory: Memory = {
      accounts: this.accounts,
      heads: this.heads,
      instances: this.#instances,
      recents: [...this.recents],
    }
    let isDamaged = found.isDamaged
    for (const { start, end } of found.frames) {
      try {
        takeFrame(portion, reading, start, end, memory)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        isDamaged = true
      }
    }
    portion.end = found.end
    if (isDamaged) {
      const now = Date.now()
      portion.gaps.push({ from: now, to: now, missing: 1, why: 'a part of the spool was damaged' })
    }
    await setImmediate()
  }

  get #isFull(): boolean {
    const { byteLength, count } = this.#current
    return byteLength >= PORTION_BYTES || count >= PORTION_ITEMS
  }

  /**
   * Writes what was read so far. False if it cannot be written now; `problem` says why. Rejects with
   * UnusableHistory if the file is damaged.
   */
  write(): Promise<boolean> {
    return this.exclusively(() => this.#write())
  }

  async #write(): Promise<boolean> {
    if (this.#isClosed) return false
    const isNew = isBefore(this.taken, this.#current.end) || this.#current.gaps.length > 0
    if (!this.#full && !isNew) return true
    const portion = this.#full ?? this.#beginNext()
    try {
      await this.inSteps(this.#fold.steps(portion, this.accounts, this.heads))
      // It was closed meanwhile.
      if (this.#isClosed) return false
    } catch (error) {
      if (isUnusable(error)) throw new UnusableHistory(describeError(error), { cause: error })
      this.problem = describeError(error)
      return false
    }
    noteHeads(portion, this.heads)
    this.totals.drop(new Set(portion.hours.subarray(0, portion.count)))
    this.#full = undefined
    this.taken = portion.end
    this.problem = await checkpoint(this.#db, this.path).then(() => undefined, describeError)
    return true
  }

  /** The portion that is to be written now: nothing is added to it any more. */
  #beginNext(): Portion {
    const portion = this.#current
    this.#noteStrangers(portion)
    portion.instances = keptInstances(portion, this.#instances)
    this.#full = portion
    this.#current = new Portion(portion.number + 1, portion.end)
    return portion
  }

  #noteStrangers({ strangers: missing, gaps }: Portion): void {
    const now = Date.now()
    if (missing > 0) gaps.push({ from: now, to: now, missing, why: 'there are too many accounts' })
  }

  /** One after the other: they use the connection that writes. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => undefined)
    return done
  }

  /** With pauses, in which others are answered. */
  async inSteps(steps: Iterator<void, void>): Promise<void> {
    let began = performance.now()
    while (!steps.next().done) {
      if (performance.now() - began < STEP_MILLISECONDS) continue
      await setImmediate()
      if (this.#isClosed) return
      began = performance.now()
    }
  }

  /** The connection that writes; for what runs `exclusively`. */
  get db(): SqliteDatabase {
    return this.#db
  }

  /** What was accepted of the account is not added to any more. */
  forgetInstances(account: number): void {
    this.#instances.removeOf(account)
  }

  /**
   * The sums of these hours, of all that was read so far; what is read while this is at work is added as
   * well, and as long as it is among `recents`.
   */
  async sumsOf(first: number, hours: number): Promise<Recent> {
    const sums = new Recent(first, hours)
    for (const portion of this.portions) addPortion(portion, sums)
    this.recents.add(sums)
    // A connection of its own: it sees the file as it is now until the end.
    const db = openToRead(this.path)
    try {
      db.exec('BEGIN')
      const pages = db.prepare<[number, number], { key: number; page: Buffer }>(
        'SELECT key, page FROM hour WHERE key >= ? AND key < ? ORDER BY key LIMIT 1',
      )
      const end = hourKey(first + hours, 0)
      let row = pages.get(hourKey(first, 0), end)
      const steps = function* () {
        while (row) {
          const hour = hourOfKey(row.key)
          readHourPage(row.page, firstOfHourPage(row.key), (account, m, r, f, b) => {
            sums.add(hour, account, m, r, f, b)
          })
          row = pages.get(row.key + 1, end)
          yield
        }
      }
      await this.inSteps(steps())
    } catch (error) {
      this.recents.delete(sums)
      throw error
    } finally {
      db.close()
    }
    sums.isWhole = true
    return sums
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.reader.close()
    this.#db.close()
  }

  #restore(): SpoolPlace {
    const accounts = this.reader.prepare<[], { number: number; name: Buffer }>(
      'SELECT number, name FROM account ORDER BY number',
    )
    for (const { number, name } of accounts.iterate()) {
      this.accounts.restore(name.toString(), number)
    }
    type Row = { key: number; page: Buffer }
    const heads = this.reader.prepare<[], Row>('SELECT key, page FROM head')
    for (const { key, page } of heads.iterate()) this.heads.restore(key, page)
    const place = this.reader.prepare<[], SpoolPlace>('SELECT file, "offset" FROM place').get()
    if (!place) throw new UnusableHistory(`${this.path} has no place of the spool`)
    // A spool that was deleted begins with the first file again.
    const last = spoolFilesOf(this.path).at(-1)?.number ?? 0
    return last < place.file ? { file: 0, offset: 0 } : place
  }

  #seed(): number {
    return Number(this.reader.prepare('SELECT seed FROM place').pluck().get())
  }

  #lastPortion(): number {
    return Number(this.reader.prepare('SELECT portion FROM place').pluck().get())
  }
}
