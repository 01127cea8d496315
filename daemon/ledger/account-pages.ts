/**
 * The sums in memory: pages of the file that were used, and what has changed in them.
 *
 * A page is read when one of its accounts is first used, and written by folding. Pages with changes
 * stay in memory; when all pages take too much of it, those least recently used are dropped.
 */

import type { Name } from '../memory/name.ts'
import { AccountPage } from './account-page.ts'
import type { CountPage, TellBucket } from './count-page.ts'
import { type LedgerFile, PAGES } from './file.ts'
import { BUCKETS, bucketAt, type CountingPeriod, type Periods } from './period.ts'
import { DamagedLedger } from './schema.ts'
import { SeriesPage } from './series-page.ts'
import { SharedNames } from './shared-names.ts'

/** What was counted for a subject in a bucket of a period. */
export type Sum = readonly [period: CountingPeriod, subject: string, bucket: number, used: number]

/** Enough for a million subjects in four windows. */
export const MOST_BYTES = 128 * 1024 * 1024
/** When this much was read since the last `trim`, the next folding is due. */
const MANY_READ_BYTES = 24 * 1024 * 1024
/** Numbers of pages whose names are looked through by one `trim`. */
const TIDIED_TOGETHER = 16
/** The last bucket that a page has room for, and whose window has an end there. */
const LAST_BUCKET = 0xffffffff - BUCKETS
/** Milliseconds since 1970: the last that ISO 8601 has four digits for. */
const LATEST = 253_402_300_799_999

/** A period and those of its pages that are in memory. */
interface LoadedPeriod {
  readonly period: CountingPeriod
  /** Undefined until something of it is written to the file. */
  id: number | undefined
  /** The last day it was written, as the file has it. */
  written: string
  /** The latest moment at which something was counted in it, milliseconds since 1970. */
  countedAt: number
  readonly pages: (CountPage | undefined)[]
}

/** A page, and where it belongs. */
export interface PlacedPage {
  readonly period: { readonly id: number | undefined }
  readonly number: number
  readonly page: CountPage
}

export class AccountPages {
  readonly #file: LedgerFile
  readonly #mostBytes: number
  readonly #all: Periods
  readonly #loaded = new Map<CountingPeriod, LoadedPeriod>()
  /** Names in all windows, by the number of the page. */
  readonly #names: (SharedNames | undefined)[] = new Array(PAGES).fill(undefined)
  /** The number whose names are looked through next. */
  #untidy = 0
  /** Rises with every `trim`. */
  #age = 0
  /** Bytes of pages read since the last `trim`. */
  #read = 0

  /** `mostBytes`: memory for pages; pages with changes may exceed it. */
  constructor(file: LedgerFile, mostBytes: number, all: Periods) {
    this.#file = file
    this.#mostBytes = mostBytes
    this.#all = all
  }

  /** As in LedgerStore; `account` has the seed of the file. Throws LookupError if the file cannot be read. */
  used(period: CountingPeriod, account: Name, now: number): number {
    return this.#pageOf(this.#load(period), account).used(account, current(period, now))
  }

  /** What is in one bucket. Throws as `used`. */
  usedIn(period: CountingPeriod, account: Name, bucket: number): number {
    return this.#pageOf(this.#load(period), account).usedIn(account, bucket)
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
    const page = this.#pageOf(loaded, account)
    return page.addWithin(account, bucket, count, limit, current(period, now), tell)
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
    const from = this.#pageOf(this.#load(period), account).fitsFrom(account, count, limit, then)
    if (from === undefined) return undefined
    return from === then ? now : from * period.bucketMilliseconds
  }

  /** `now`: as `addWithin` told of it at that moment. Else nothing but this bucket changes. */
  set(period: CountingPeriod, account: Name, bucket: number, used: number, now?: number): void {
    const loaded = this.#load(period)
    const at = now ?? bucket * period.bucketMilliseconds
    if (at > loaded.countedAt) loaded.countedAt = at
    const then = now === undefined ? undefined : current(period, now)
    this.#pageOf(loaded, account).set(account, bucket, used, then)
  }

  /** The sums in memory; nothing is read. */
  *sumsInMemory(): Iterable<Sum> {
    for (const { period, pages } of this.#loaded.values()) {
      for (const page of pages) if (page) yield* sumsOf(period, page)
    }
  }

  /**
   * All sums, in memory or in the file, or those of rolling windows and of this many periods of each
   * counter, the newest. Keeps nothing of what it reads.
   */
  *sums(newest: number): Iterable<Sum> {
    const all = new Map<CountingPeriod, Pick<LoadedPeriod, 'id' | 'pages'>>()
    for (const { id, counter, name } of this.#file.periods()) {
      all.set(this.#all.named(counter, name), { id, pages: [] })
    }
    for (const [period, loaded] of this.#loaded) all.set(period, loaded)
    const left = newestOf([...all.keys()], newest)
    for (const [period, { id, pages }] of all) {
      if (!left.has(period)) continue
      for (let number = 0; number < PAGES; number++) {
        // Names of pages that are not kept are not kept, either.
        const page = pages[number] ?? this.#readPage(period, id, number, this.#fresh())
        if (page) yield* sumsOf(period, page)
      }
    }
  }

  /** Pages to be written. Throws LookupError if a new period cannot be entered into the file. */
  changed(): PlacedPage[] {
    const changed: PlacedPage[] = []
    for (const loaded of this.#loaded.values()) {
      const before = changed.length
      for (const [number, page] of loaded.pages.entries()) {
        if (page?.isDirty) changed.push({ period: loaded, number, page })
      }
      if (changed.length > before) this.#enter(loaded)
    }
    return changed
  }

  /**
   * Drops periods that were not written since `day`, which are deleted from the file as well. Throws
   * LookupError if the file cannot be told of those that are kept.
   */
  forgetBefore(day: string): void {
    for (const [period, loaded] of this.#loaded) {
      if (lastDayOf(loaded) < day) this.#loaded.delete(period)
      else if (loaded.id !== undefined && loaded.written < day) this.#enter(loaded)
    }
  }

  /** True if enough was read that memory should be released. */
  get hasReadMany(): boolean {
    return this.#read >= MANY_READ_BYTES
  }

  /** Releases memory. */
  trim(): void {
    const all = [...this.#placed()].toSorted((a, b) => a.page.usedAt - b.page.usedAt)
    let bytes = all.reduce((sum, { page }) => sum + page.byteLength, 0)
    for (const names of this.#names) bytes += names?.byteLength ?? 0
    for (const { pages, number, page } of all) {
      if (bytes <= this.#mostBytes) break
      if (page.isDirty) continue
      pages[number] = undefined
      bytes -= page.byteLength
      if (this.#pagesOf(number).length > 0) continue
      bytes -= this.#names[number]?.byteLength ?? 0
      this.#names[number] = undefined
    }
    this.#tidy()
    this.#age++
    this.#read = 0
  }

  /** Drops names that no page in memory has any more: of some numbers, so that no request waits. */
  #tidy(): void {
    for (let some = 0; some < TIDIED_TOGETHER; some++) {
      const pages = this.#pagesOf(this.#untidy)
      if (pages.length === 0) this.#names[this.#untidy] = undefined
      this.#names[this.#untidy]?.tidy(pages.map(({ members }) => members))
      this.#untidy = (this.#untidy + 1) % PAGES
    }
  }

  /** Those with this number, of all windows. */
  #pagesOf(number: number): CountPage[] {
    const all = [...this.#loaded.values()].map(({ pages }) => pages[number])
    return all.filter(page => page !== undefined)
  }

  *#placed() {
    for (const { pages } of this.#loaded.values()) {
      for (const [number, page] of pages.entries()) if (page) yield { pages, number, page }
    }
  }

  /** Enters a period into the file, or when it was last written. */
  #enter(loaded: LoadedPeriod): void {
    const { counter, name } = loaded.period
    const day = lastDayOf(loaded)
    if (loaded.id === undefined) loaded.id = this.#file.addPeriod(counter, name, day)
    else if (day > loaded.written) this.#file.noteWritten(loaded.id, day)
    loaded.written = day
  }

  #pageOf(loaded: LoadedPeriod, { hash }: Name): CountPage {
    const number = hash >>> 24
    let page = loaded.pages[number]
    if (!page) {
      const { period, id } = loaded
      this.#names[number] ??= this.#fresh()
      const names = this.#names[number]
      const before = names.byteLength
      page = this.#readPage(period, id, number, names) ?? emptyPage(period, names)
      loaded.pages[number] = page
      this.#read += page.byteLength + names.byteLength - before
    }
    page.usedAt = this.#age
    return page
  }

  #load(period: CountingPeriod): LoadedPeriod {
    return this.#loaded.get(period) ?? this.#find(period)
  }

  #find({ counter, name }: CountingPeriod): LoadedPeriod {
    // It may come from another store, with periods of its own.
    const period = this.#all.named(counter, name)
    let loaded = this.#loaded.get(period)
    if (!loaded) {
      const found = this.#file.findPeriod(counter, name)
      const written = found?.written ?? ''
      loaded = { period, id: found?.id, written, countedAt: 0, pages: emptyPages() }
      this.#loaded.set(period, loaded)
    }
    return loaded
  }

  #fresh(): SharedNames {
    return new SharedNames(this.#file.seed)
  }

  /** A page of the file, if it exists. Throws LookupError. */
  #readPage(
    period: CountingPeriod,
    id: number | undefined,
    number: number,
    names: SharedNames,
  ): CountPage | undefined {
    const packed = id === undefined ? undefined : this.#file.readPage(id, number)
    if (!packed) return undefined
    try {
      return period.bucketMilliseconds === 0
        ? AccountPage.unpack(names, packed)
        : SeriesPage.unpack(names, packed)
    } catch (cause) {
      throw new DamagedLedger(`the counts of ${period.name} are damaged`, { cause })
    }
  }
}

function emptyPage({ bucketMilliseconds }: CountingPeriod, names: SharedNames): CountPage {
  return bucketMilliseconds === 0 ? AccountPage.empty(names) : SeriesPage.empty(names)
}

function emptyPages(): (CountPage | undefined)[] {
  return new Array<CountPage | undefined>(PAGES).fill(undefined)
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

function* sumsOf(period: CountingPeriod, page: CountPage): Iterable<Sum> {
  for (const [subject, bucket, used] of page.sums()) yield [period, subject, bucket, used]
}
