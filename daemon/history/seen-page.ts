/**
 * Where 256 neighbouring accounts were seen in one week, as bytes: countries, networks and names of clients. For
 * each account, in the order of their numbers: the distance from the one before, the length of the rest, and its
 * entries: kind, length and bytes of the name, when it was seen first (seconds from the week's beginning), how
 * many seconds later it was seen last, accepted messages. A network is its bits: 3 bytes of IPv4, 8 of IPv6.
 */

import { NumberReader } from '../memory/seven-bits.ts'
import type { PageWriter } from './page-writer.ts'
import { readSight, type Sights, writeSight } from './sights.ts'

export const WEEK = 7 * 86_400_000
/** Accounts of a page. */
export const SEEN_ACCOUNTS = 256
/** Pages that a week can have. */
const WEEK_PAGES = 8192

/** The key of the page that an account is in; `week`: weeks since 1970. */
export const weekKey = (week: number, account: number): number =>
  week * WEEK_PAGES + Math.floor(account / SEEN_ACCOUNTS)

/** The bytes of each account's entries. Throws RangeError if it is not such a page. */
export function readSeenPage(page: Buffer, first: number): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  let account = first
  for (const reader = new NumberReader(page); !reader.isAtEnd; ) {
    account += reader.next()
    const length = reader.next()
    const from = reader.at
    reader.skip(length)
    found.set(account, page.subarray(from, reader.at))
  }
  return found
}

/** Entries by account, in any order. Undefined: there are none. */
export function seenPage(
  entries: ReadonlyMap<number, Buffer>,
  first: number,
  writer: PageWriter,
): Buffer | undefined {
  writer.clear()
  let last = first
  for (const [account, bytes] of [...entries].toSorted(([one], [other]) => one - other)) {
    writer.number(account - last)
    writer.number(bytes.length)
    writer.copy(bytes, 0, bytes.length)
    last = account
  }
  return writer.length === 0 ? undefined : writer.page()
}

/** Adds what is in an account's entries. `since`: the beginning of their week. Throws RangeError. */
export function readSights(bytes: Buffer, since: number, sights: Sights): void {
  const reader = new NumberReader(bytes)
  while (!reader.isAtEnd) readSight(bytes, reader, since, sights)
}

export function sightBytes(sights: Sights, since: number, writer: PageWriter): Buffer {
  sights.keepMost()
  writer.clear()
  for (const sight of sights.all) writeSight(sight, since, writer)
  return writer.page()
}
