/**
 * Where 256 neighbouring accounts were seen in one week, as bytes: countries, networks and names of clients. For
 * each account, in the order of their numbers: the distance from the one before, the length of the rest, and its
 * entries: kind, length and bytes of the name, when it was seen first (seconds from the week's beginning), how
 * many seconds later it was seen last, accepted messages. A network is its bits: 3 bytes of IPv4, 8 of IPv6.
 */

import { NumberReader } from '../memory/seven-bits.ts'
import type { PageWriter } from './page-writer.ts'
import type { Sights } from './sights.ts'

export const WEEK = 7 * 86_400_000
/** Accounts of a page. */
export const SEEN_ACCOUNTS = 256
/** Pages that a week can have. */
const WEEK_PAGES = 8192

/** The key of the page that an account is in; `week`: weeks since 1970. */
export const weekKey = (week: number, account: number): number =>
  week * WEEK_PAGES + Math.floor(account / SEEN_ACCOUNTS)

/** The accounts of a page, one after the other. Throws RangeError if it is not such a page. */
class Entries {
  readonly #reader: NumberReader
  /** Infinity: there are no more. */
  account: number
  /** Where its entries begin. */
  from = 0
  /** Where they end. */
  end = 0

  constructor(page: Buffer, first: number) {
    this.#reader = new NumberReader(page)
    this.account = first
    this.next()
  }

  next(): void {
    const reader = this.#reader
    if (reader.isAtEnd) {
      this.account = Number.POSITIVE_INFINITY
      return
    }
    this.account += reader.next()
    const length = reader.next()
    this.from = reader.at
    reader.skip(length)
    this.end = reader.at
  }
}

/** Adds what a page has of an account. `since`: the beginning of its week. Throws RangeError. */
export function readSights(page: Buffer, account: number, since: number, sights: Sights): void {
  const entries = new Entries(page, account - (account % SEEN_ACCOUNTS))
  while (entries.account < account) entries.next()
  if (entries.account === account) sights.read(page, entries.from, entries.end, since)
}

/**
 * The page with other entries for some accounts, which are given in ascending order. `write`: writes those of an account
 * to `entry`; what it had is between two places of the page. An account without entries is left out. Undefined:
 * nothing is left. Throws RangeError.
 */
export function changedPage(
  page: Buffer,
  accounts: readonly number[],
  write: (account: number, from: number, end: number) => void,
  writer: PageWriter,
  entry: PageWriter,
): Buffer | undefined {
  const [anyone = 0] = accounts
  let last = anyone - (anyone % SEEN_ACCOUNTS)
  const old = new Entries(page, last)
  const put = (account: number, bytes: Buffer, from: number, end: number): void => {
    if (from === end) return
    writer.number(account - last)
    writer.number(end - from)
    writer.copy(bytes, from, end)
    last = account
  }
  const putOthers = (below: number): void => {
    for (; old.account < below; old.next()) put(old.account, page, old.from, old.end)
  }
  writer.clear()
  for (const account of accounts) {
    putOthers(account)
    const isKnown = old.account === account
    entry.clear()
    write(account, isKnown ? old.from : 0, isKnown ? old.end : 0)
    put(account, entry.bytes, 0, entry.length)
    if (isKnown) old.next()
  }
  putOthers(Number.POSITIVE_INFINITY)
  return writer.length === 0 ? undefined : writer.page()
}
