/**
 * The last messages of 256 neighbouring accounts out of one portion of the spool, as bytes. For each account, in
 * the order of their numbers: the distance from the one before, the number of the portion before in which the
 * account has messages (0: none), the length of the rest, and its messages, oldest first: length, and the
 * message as the spool has it. So the last messages of an account are found by going back from its last portion.
 */

import { NumberReader } from '../memory/seven-bits.ts'
import type { PageWriter } from './page-writer.ts'

/** Accounts of a page. */
export const MESSAGE_ACCOUNTS = 256
/** Pages that a portion can have. */
const PORTION_PAGES = 8192
/** Messages of an account that are kept. */
export const MOST_MESSAGES = 50

export const portionKey = (portion: number, account: number): number =>
  portion * PORTION_PAGES + Math.floor(account / MESSAGE_ACCOUNTS)

export const portionOfKey = (key: number): number => Math.floor(key / PORTION_PAGES)

export interface Group {
  /** The portion before with messages of the account; 0: there is none. */
  readonly before: number
  /** Its messages, as `readMessages` takes them. */
  readonly messages: Buffer
}

/** The group of one account; undefined: it has none here. Throws RangeError if it is not such a page. */
export function groupIn(page: Buffer, account: number): Group | undefined {
  let here = account - (account % MESSAGE_ACCOUNTS)
  for (const reader = new NumberReader(page); !reader.isAtEnd; ) {
    here += reader.next()
    const before = reader.next()
    const length = reader.next()
    const from = reader.at
    reader.skip(length)
    if (here === account) return { before, messages: page.subarray(from, reader.at) }
    if (here > account) return undefined
  }
  return undefined
}

/** Where each message begins, oldest first. */
export function messagesIn(messages: Buffer): number[] {
  const places: number[] = []
  for (const reader = new NumberReader(messages); !reader.isAtEnd; ) {
    const length = reader.next()
    places.push(reader.at)
    reader.skip(length)
  }
  return places
}

/** The page without an account. Undefined: nothing is left. */
export function withoutGroup(
  page: Buffer,
  account: number,
  writer: PageWriter,
): Buffer | undefined {
  writer.clear()
  let here = account - (account % MESSAGE_ACCOUNTS)
  let last = here
  for (const reader = new NumberReader(page); !reader.isAtEnd; ) {
    here += reader.next()
    const rest = reader.at
    reader.next()
    reader.skip(reader.next())
    if (here === account) continue
    writer.number(here - last)
    writer.copy(page, rest, reader.at)
    last = here
  }
  return writer.length === 0 ? undefined : writer.page()
}
