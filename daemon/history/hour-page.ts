/**
 * What 4,096 neighbouring accounts have sent in one hour, as bytes. For each account that has sent anything, in
 * the order of their numbers: the distance from the one before, times two, plus one if there were refusals;
 * messages, recipients, bytes, and refusals if there were any. Seven bits a byte: an account takes 7 bytes.
 */

import { NumberReader } from '../memory/seven-bits.ts'
import type { PageWriter } from './page-writer.ts'

export const HOUR = 3_600_000
/** Accounts of a page. */
export const HOUR_ACCOUNTS = 4096
/** Pages that an hour can have. */
const HOUR_PAGES = 1024

/** The key of the page that an account is in; `hour`: hours since 1970. */
export const hourKey = (hour: number, account: number): number =>
  hour * HOUR_PAGES + Math.floor(account / HOUR_ACCOUNTS)

export const hourOfKey = (key: number): number => Math.floor(key / HOUR_PAGES)

/** The number of the first account of a page. */
export const firstOfHourPage = (key: number): number => (key % HOUR_PAGES) * HOUR_ACCOUNTS

export interface Sums {
  messages: number
  recipients: number
  refused: number
  bytes: number
}

export type EachSums = (
  account: number,
  messages: number,
  recipients: number,
  refused: number,
  bytes: number,
) => void

/** Throws RangeError if it is not such a page. `first`: the number of its first account. */
export function readHourPage(page: Uint8Array, first: number, each: EachSums): void {
  const reader = new NumberReader(page)
  let account = first
  while (!reader.isAtEnd) {
    const head = reader.next()
    account += Math.floor(head / 2)
    const messages = reader.next()
    const recipients = reader.next()
    const bytes = reader.next()
    each(account, messages, recipients, head % 2 === 1 ? reader.next() : 0, bytes)
  }
}

/** Writes a page with additions, which may be negative: no sum falls below 0. Undefined: nothing is left. */
export function withSums(
  before: Uint8Array | undefined,
  first: number,
  additions: ReadonlyMap<number, Readonly<Sums>>,
  writer: PageWriter,
): Buffer | undefined {
  const all = new Map<number, Sums>()
  if (before) {
    readHourPage(before, first, (account, messages, recipients, refused, bytes) => {
      all.set(account, { messages, recipients, refused, bytes })
    })
  }
  let isInOrder = true
  let greatest = -1
  for (const account of all.keys()) greatest = account
  for (const [account, more] of additions) {
    const sums = all.get(account)
    if (!sums) {
      if (account < greatest) isInOrder = false
      greatest = account
    }
    all.set(account, {
      messages: added(sums?.messages, more.messages),
      recipients: added(sums?.recipients, more.recipients),
      refused: added(sums?.refused, more.refused),
      bytes: added(sums?.bytes, more.bytes),
    })
  }
  const entries = isInOrder ? all : [...all].toSorted(([one], [other]) => one - other)
  writer.clear()
  let last = first
  for (const [account, { messages, recipients, refused, bytes }] of entries) {
    if (messages === 0 && recipients === 0 && refused === 0 && bytes === 0) continue
    writer.number((account - last) * 2 + (refused > 0 ? 1 : 0))
    writer.number(messages)
    writer.number(recipients)
    writer.number(bytes)
    if (refused > 0) writer.number(refused)
    last = account
  }
  return writer.length === 0 ? undefined : writer.page()
}

function added(sum = 0, more: number): number {
  return Math.min(Math.max(0, sum + more), Number.MAX_SAFE_INTEGER)
}
