/**
 * The sums in memory: pages of the file that were used, and what has changed in them.
 *
 * A page is read when one of its accounts is first used, and written by folding. Pages with changes
 * stay in memory; when all pages take too much of it, those least recently used are dropped.
 */

import type { Name } from '../memory/name.ts'
import type { Change } from './change.ts'
import type { Counts, TellBucket } from './counts.ts'
import { type LedgerFile, PAGES } from './file.ts'
import { bucketAt, type CountingPeriod, LAST_BUCKET, type Periods } from './period.ts'
import { DamagedLedger } from './schema.ts'
import { pageOf, Subjects } from './subjects.ts'
import { WindowPages } from './window-pages.ts'

/** What was counted for a subject in a bucket of a period. */
export type Sum = readonly [period: CountingPeriod, subject: string, bucket: number, used: number]

/** Enough for a million subjects in four windows. */
export const MOST_BYTES = 128 * 1024 * 1024
/** When this much was read since the last `trim`, the next folding is due. */
const MANY_READ_BYTES = 24 * 1024 * 1024
/** Pages whose names are looked through by one `trim`. */
const TIDIED_TOGETHER = 16
const ALL_PAGES = Array.from({ length: PAGES }, (_, page) => page)
/** Milliseconds since 1970: the last that ISO 8601 has four digits for. */
const LATEST = 253_402_300_799_999

/** A period, and what of it is in memory. */
interface LoadedPeriod {
  readonly period: CountingPeriod
  /** Undefined until something of it is written to the file. */
  id: number | undefined
  /** The last day it was written, as the file has it. */
  written: string
  /** The latest moment at which something was counted in it, milliseconds since 1970. */
  countedAt: number
  readonly window: WindowPages
}

/** A page, and where it belongs. */
export interface PlacedPage {
  readonly period: { readonly id: number | undefined }
  readonly number: number
  readonly window: WindowPages
}

export class AccountPages {
  readonly #file: LedgerFile
  readonly #mostBytes: number
  readonly #all: Periods
  /** By the period's number. */
  #loaded: (LoadedPeriod | undefined)[] = []
  readonly #subjects: Subjects
  /** The page whose names are looked through next. */
  #untidy = 0
  /** Rises with every `trim`. */
  #age = 1
  /** Bytes of pages read since the last `trim`. */
  #read = 0

  /** `mostBytes`: memory for pages; pages with changes may exceed it. */
  constructor(file: LedgerFile, mostBytes: number, all: Periods) {
    this.#file = file
    this.#mostBytes = mostBytes
    this.#all = all
    this.#subjects = new Subjects(file.seed)
  }

  /** As in LedgerStore; `account` has the seed of the file. Throws LookupError if the file cannot be read. */
  used(period: CountingPeriod, account: Name, now: number): number {
    return this.#countsFor(this.#load(period), account).used(account, current(period, now))
  }

  /** What is in one bucket. Throws as `used`. */
  usedIn(period: CountingPeriod, account: Name, bucket: number): number {
    return this.#countsFor(this.#load(period), account).usedIn(account, bucket)
  }

  /** As in LedgerStore. Tells of each bucket that has changed, also if the result is undefined. Throws as `used`. */
  addWithin(
    period: CountingPeriod,
    account: Name,
    bucket: number,
    count: number,
    limit: number,
    now: number,
    tell: TellBucket,
  ): number | undefined {
    const loaded = this.#load(period)
    if (now > loaded.countedAt) loaded.countedAt = now
    const counts = this.#countsFor(loaded, account)
    return counts.addWithin(account, bucket, count, limit, current(period, now), tell)
  }

  /** The number of an account that something in memory has, or -1. */
  find(account: Name): number {
    return this.#subjects.find(account)
  }

  /**
   * Makes a change if it is an ordinary one: it counts now, its limit allows it, and its page is in memory.
   * False, with nothing changed, if it is not.
   */
  count(subject: number, change: Change, now: number): boolean {
    const { period } = change
    const loaded = this.#loaded[period.number]
    if (loaded?.period !== period) return false
    const { window } = loaded
    const then = current(period, now)
    if (change.growth <= 0 || change.bucket !== then) return false
    if (!window.states.use(pageOf(subject), this.#age)) return false
    if (!window.counts.count(subject, change, then)) return false
    if (now > loaded.countedAt) loaded.countedAt = now
    return true
  }

  /** As in LedgerStore. Throws as `used`. */
  fitsAt(
    period: CountingPeriod,
    account: Name,
    count: number,
    limit: number,
    now: number,
  ): number | undefined {
    const then = current(period, now)
    const counts = this.#countsFor(this.#load(period), account)
    const from = counts.fitsFrom(account, count, limit, then)
    if (from === undefined) return undefined
    return from === then ? now : from * period.bucketMilliseconds
  }

  /** `now`: as `addWithin` told of it at that moment. Else nothing but this bucket changes. */
  set(period: CountingPeriod, account: Name, bucket: number, used: number, now?: number): void {
    const loaded = this.#load(period)
    const at = now ?? bucket * period.bucketMilliseconds
    if (at > loaded.countedAt) loaded.countedAt = at
    const then = now === undefined ? undefined : current(period, now)
    this.#countsFor(loaded, account).set(account, bucket, used, then)
  }

  /** The sums in memory; nothing is read. */
  *sumsInMemory(): Iterable<Sum> {
    for (const { period, window } of this.#periods()) {
      for (const page of ALL_PAGES) yield* sumsOf(period, window, page)
    }
  }

  /**
   * All sums, in memory or in the file, or those of rolling windows and of this many periods of each
   * counter, the newest. Keeps nothing of what it reads.
   */
  *sums(newest: number): Iterable<Sum> {
    const all = new Map<CountingPeriod, Pick<LoadedPeriod, 'id'> & Partial<LoadedPeriod>>()
    for (const { id, counter, name } of this.#file.periods()) {
      all.set(this.#all.named(counter, name), { id })
    }
    for (const loaded of this.#periods()) all.set(loaded.period, loaded)
    const left = newestOf([...all.keys()], newest)
    for (const [period, { id, window }] of all) {
      if (!left.has(period)) continue
      for (const page of ALL_PAGES) {
        if (window?.states.isLoaded(page)) yield* sumsOf(period, window, page)
        else {
          // Names of pages that are not kept are not kept, either.
          const read = new WindowPages(period, new Subjects(this.#file.seed))
          this.#readPage(period, id, page, read)
          yield* sumsOf(period, read, page)
        }
      }
    }
  }

  /** Pages to be written. Throws LookupError if a new period cannot be entered into the file. */
  changed(): PlacedPage[] {
    const changed: PlacedPage[] = []
    for (const loaded of this.#periods()) {
      const { window } = loaded
      const numbers = ALL_PAGES.filter(page => window.states.isDirty(page))
      for (const number of numbers) changed.push({ period: loaded, number, window })
      if (numbers.length > 0) this.#enter(loaded)
    }
    return changed
  }

  /**
   * Drops periods that were not written since `day`, which are deleted from the file as well. Throws
   * LookupError if the file cannot be told of those that are kept.
   */
  forgetBefore(day: string): void {
    for (const loaded of this.#periods()) {
      if (lastDayOf(loaded) < day) this.#loaded[loaded.period.number] = undefined
      else if (loaded.id !== undefined && loaded.written < day) this.#enter(loaded)
    }
  }

  /** Names in memory. */
  get subjects(): number {
    return ALL_PAGES.reduce((sum, page) => sum + this.#subjects.countIn(page), 0)
  }

  /** Bytes of memory. */
  get byteLength(): number {
    let bytes = 0
    for (const { window } of this.#periods()) bytes += window.counts.byteLength
    for (const page of ALL_PAGES) bytes += this.#subjects.bytesIn(page)
    return bytes
  }

  /** True if enough was read that memory should be released. */
  get hasReadMany(): boolean {
    return this.#read >= MANY_READ_BYTES
  }

  /** Releases memory. */
  trim(): void {
    let bytes = this.byteLength
    for (const { window, page } of bytes > this.#mostBytes ? this.#leastRecentlyUsed() : []) {
      if (bytes <= this.#mostBytes) break
      if (window.states.isDirty(page)) continue
      bytes -= window.bytesOf(page)
      window.drop(page)
      if (this.#isInMemory(page)) continue
      bytes -= this.#subjects.bytesIn(page)
      this.#subjects.drop(page)
    }
    this.#tidy()
    this.#age++
    this.#read = 0
  }

  /** Drops names that no page in memory has any more: of some pages, so that no request waits. */
  #tidy(): void {
    const windows = this.#periods().map(({ window }) => window)
    for (let some = 0; some < TIDIED_TOGETHER; some++) {
      const page = this.#untidy
      this.#untidy = (page + 1) % PAGES
      if (!this.#isInMemory(page)) this.#subjects.drop(page)
      this.#subjects.tidy(
        page,
        subject => windows.some(({ counts }) => counts.has(subject)),
        (from, to) => {
          for (const window of windows) window.move(from, to)
        },
      )
    }
  }

  #periods(): LoadedPeriod[] {
    return this.#loaded.filter(loaded => loaded !== undefined)
  }

  /** Is this page of any window in memory? */
  #isInMemory(page: number): boolean {
    return this.#loaded.some(loaded => loaded?.window.states.isLoaded(page))
  }

  #leastRecentlyUsed() {
    const all = this.#periods().flatMap(({ window }) =>
      ALL_PAGES.filter(page => window.states.isLoaded(page)).map(page => ({
        ...{ window, page },
        usedAt: window.states.usedAt(page),
      })),
    )
    return all.toSorted((a, b) => a.usedAt - b.usedAt)
  }

  /** Enters a period into the file, or when it was last written. */
  #enter(loaded: LoadedPeriod): void {
    const { counter, name } = loaded.period
    const day = lastDayOf(loaded)
    if (loaded.id === undefined) loaded.id = this.#file.addPeriod(counter, name, day)
    else if (day > loaded.written) this.#file.noteWritten(loaded.id, day)
    loaded.written = day
  }

  /** The window's counts, with this account's page in memory. */
  #countsFor({ period, id, window }: LoadedPeriod, { hash }: Name): Counts {
    const page = hash >>> 24
    if (!window.states.use(page, this.#age)) {
      this.#read += this.#readPage(period, id, page, window)
      window.states.use(page, this.#age)
    }
    return window.counts
  }

  #load(period: CountingPeriod): LoadedPeriod {
    const loaded = this.#loaded[period.number]
    return loaded?.period === period ? loaded : this.#find(period)
  }

  #find({ counter, name }: CountingPeriod): LoadedPeriod {
    // It may come from another store, with periods of its own.
    const period = this.#all.named(counter, name)
    let loaded = this.#loaded[period.number]
    if (!loaded) {
      const found = this.#file.findPeriod(counter, name)
      const written = found?.written ?? ''
      const window = new WindowPages(period, this.#subjects)
      loaded = { period, id: found?.id, written, countedAt: 0, window }
      while (this.#loaded.length < period.number) this.#loaded.push(undefined)
      this.#loaded[period.number] = loaded
    }
    return loaded
  }

  /** Takes a page into memory, from the file if it is there: the bytes that were read. Throws LookupError. */
  #readPage(
    period: CountingPeriod,
    id: number | undefined,
    page: number,
    window: WindowPages,
  ): number {
    const packed = id === undefined ? undefined : this.#file.readPage(id, page)
    try {
      window.load(page, packed)
    } catch (cause) {
      throw new DamagedLedger(`the counts of ${period.name} are damaged`, { cause })
    }
    return packed ? packed.sums.length + packed.names.length : 0
  }
}

function current(period: CountingPeriod, now: number): number {
  return Math.max(0, Math.min(bucketAt(period, now), LAST_BUCKET))
}

/** The day a period was last written, or begins: `2026-11-20`, in UTC. */
function lastDayOf({ period, written, countedAt }: LoadedPeriod): string {
  const begins = period.bucketMilliseconds === 0 ? period.name : ''
  const counted = new Date(Math.max(0, Math.min(countedAt, LATEST))).toISOString().slice(0, 10)
  return [begins, written, counted].toSorted().at(-1) ?? ''
}

/** Rolling periods, and the newest `most` of each counter's other ones. */
function newestOf(all: readonly CountingPeriod[], most: number): Set<CountingPeriod> {
  const counters = new Map<string, CountingPeriod[]>()
  const newest = new Set<CountingPeriod>()
  for (const period of all.toSorted((a, b) => (a.name < b.name ? 1 : -1))) {
    const ofCounter = counters.get(period.counter) ?? []
    if (period.bucketMilliseconds === 0) ofCounter.push(period)
    if (period.bucketMilliseconds > 0 || ofCounter.length <= most) newest.add(period)
    counters.set(period.counter, ofCounter)
  }
  return newest
}

function* sumsOf(period: CountingPeriod, window: WindowPages, page: number): Iterable<Sum> {
  for (const [subject, bucket, used] of window.sumsIn(page)) yield [period, subject, bucket, used]
}
