/**
 * The sums in memory: those pages of the state file that were asked for, and what has changed in them.
 *
 * A page is read when one of its accounts is first asked for, and written by whoever folds. As long
 * as it has changes it stays; of the others those nobody has asked for lately go when all of them
 * take too much memory.
 */

import type { Name } from '../policy/name.ts'
import { AccountPage } from './account-page.ts'
import { DamagedLedger, type LedgerFile, PAGES } from './ledger-file.ts'

/** The sum of an account's day. */
export type Sum = readonly [scope: string, day: string, account: string, used: number]

/** Two and a half million accounts. */
export const MOST_BYTES = 128 * 1024 * 1024
/** Read since the last `letGo`, and the next should not wait for its time. */
const MANY_READ_BYTES = 32 * 1024 * 1024

interface Period {
  readonly scope: string
  readonly day: string
  /** In the file; undefined until something of it is written. */
  id: number | undefined
  readonly pages: (AccountPage | undefined)[]
}

/** A page, and where it belongs. */
export interface PlacedPage {
  readonly period: Period
  readonly number: number
  readonly page: AccountPage
}

export class AccountPages {
  readonly #file: LedgerFile
  readonly #mostBytes: number
  readonly #periods = new Map<string, Period>()
  #last: Period | undefined
  /** Rises with every `letGo`. */
  #age = 0
  /** Bytes of pages read since then. */
  #read = 0

  /** `mostBytes`: kept in memory of pages without changes. */
  constructor(file: LedgerFile, mostBytes: number) {
    this.#file = file
    this.#mostBytes = mostBytes
  }

  /** `account` has the seed of the file. Throws LookupError if the file cannot be read. */
  used(scope: string, day: string, account: Name): number {
    return this.#pageOf(scope, day, account).used(account)
  }

  /** The new sum, or undefined if it would exceed `limit`. Throws as `used`. */
  addWithin(
    scope: string,
    day: string,
    account: Name,
    count: number,
    limit: number,
  ): number | undefined {
    return this.#pageOf(scope, day, account).addWithin(account, count, limit)
  }

  set(scope: string, day: string, account: Name, sum: number): void {
    this.#pageOf(scope, day, account).set(account, sum)
  }

  /** All sums in memory. */
  *sums(): Iterable<Sum> {
    for (const { period, page } of this.#all()) {
      for (const [account, used] of page.sums()) yield [period.scope, period.day, account, used]
    }
  }

  /** What is to be written. Throws LookupError if a new day cannot be entered into the file. */
  changed(): PlacedPage[] {
    const changed = [...this.#all()].filter(({ page }) => page.isDirty)
    for (const { period } of changed) {
      period.id ??= this.#file.addPeriod(period.scope, period.day)
    }
    return changed
  }

  /** Days before `day` have gone from the file, or are about to. */
  forgetBefore(day: string): void {
    for (const [key, period] of this.#periods) {
      if (period.day < day) this.#periods.delete(key)
    }
    this.#last = undefined
  }

  /** Has so much been read that memory should be given back? */
  get hasReadMany(): boolean {
    return this.#read >= MANY_READ_BYTES
  }

  /** Gives memory back. */
  letGo(): void {
    const all = [...this.#all()].toSorted((a, b) => a.page.askedAt - b.page.askedAt)
    let bytes = all.reduce((sum, { page }) => sum + page.byteLength, 0)
    for (const { period, number, page } of all) {
      if (bytes <= this.#mostBytes) break
      if (page.isDirty) continue
      period.pages[number] = undefined
      bytes -= page.byteLength
    }
    this.#age++
    this.#read = 0
  }

  *#all(): Iterable<PlacedPage> {
    for (const period of this.#periods.values()) {
      for (const [number, page] of period.pages.entries()) {
        if (page) yield { period, number, page }
      }
    }
  }

  #pageOf(scope: string, day: string, { hash }: Name): AccountPage {
    const period = this.#periodOf(scope, day)
    const number = hash >>> 24
    const page = period.pages[number] ?? this.#load(period, number)
    page.askedAt = this.#age
    return page
  }

  #periodOf(scope: string, day: string): Period {
    const last = this.#last
    if (last?.day === day && last.scope === scope) return last
    const key = `${day}\n${scope}`
    let period = this.#periods.get(key)
    if (!period) {
      const id = this.#file.findPeriod(scope, day)
      period = { scope, day, id, pages: new Array(PAGES).fill(undefined) }
      this.#periods.set(key, period)
    }
    this.#last = period
    return period
  }

  #load(period: Period, number: number): AccountPage {
    const page = readPage(this.#file, period, number) ?? AccountPage.empty(this.#file.seed)
    period.pages[number] = page
    this.#read += page.byteLength
    return page
  }
}

/** A page of the file, if it is there. Throws LookupError. */
export function readPage(
  file: LedgerFile,
  { id, day }: Pick<Period, 'id' | 'day'>,
  number: number,
): AccountPage | undefined {
  const packed = id === undefined ? undefined : file.readPage(id, number)
  if (!packed) return undefined
  try {
    return AccountPage.unpack(file.seed, packed)
  } catch (cause) {
    throw new DamagedLedger(`the counts of ${day} are damaged`, { cause })
  }
}
