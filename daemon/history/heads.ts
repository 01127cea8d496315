/**
 * For each account the last portion that has messages of it, and the last day on which anything was noted of
 * it: 6 bytes each.
 */

import { HOUR_ACCOUNTS } from './hour-page.ts'

export const DAY = 86_400_000
/** Accounts of a page. */
export const HEAD_ACCOUNTS = HOUR_ACCOUNTS
const PAGE_BYTES = HEAD_ACCOUNTS * 6

/** Days since 1970, as they are kept; `hour`: hours since 1970. */
export const dayOf = (hour: number): number => Math.min(Math.max(1, Math.floor(hour / 24)), 0xffff)

export const headKey = (account: number): number => Math.floor(account / HEAD_ACCOUNTS)

export class Heads {
  #portions = new Uint32Array(HEAD_ACCOUNTS)
  #days = new Uint16Array(HEAD_ACCOUNTS)

  /** 0: none. */
  portionOf(account: number): number {
    return this.#portions[account] ?? 0
  }

  /** Days since 1970. */
  dayOf(account: number): number {
    return this.#days[account] ?? 0
  }

  /** `portion` 0: no messages, as far as is known. */
  set(account: number, portion: number, day: number): void {
    if (account >= this.#portions.length) this.#grow(account + 1)
    this.#portions[account] = portion
    this.#days[account] = day
  }

  /** Something was noted of it on this day. */
  touch(account: number, day: number): void {
    if (this.#days[account] !== day) this.set(account, this.portionOf(account), day)
  }

  page(key: number): Buffer {
    const first = key * HEAD_ACCOUNTS
    const page = Buffer.alloc(PAGE_BYTES)
    for (let i = 0; i < HEAD_ACCOUNTS; i++) {
      page.writeUInt32LE(this.#portions[first + i] ?? 0, i * 4)
      page.writeUInt16LE(this.#days[first + i] ?? 0, HEAD_ACCOUNTS * 4 + i * 2)
    }
    return page
  }

  /** Throws RangeError if it is not such a page. */
  restore(key: number, page: Buffer): void {
    if (page.length !== PAGE_BYTES) throw new RangeError('a page of another size')
    for (let i = 0; i < HEAD_ACCOUNTS; i++) {
      const portion = page.readUInt32LE(i * 4)
      const day = page.readUInt16LE(HEAD_ACCOUNTS * 4 + i * 2)
      if (day > 0) this.set(key * HEAD_ACCOUNTS + i, portion, day)
    }
  }

  #grow(needed: number): void {
    const length = Math.max(needed, Math.ceil(this.#portions.length * 1.5))
    const [portions, days] = [new Uint32Array(length), new Uint16Array(length)]
    portions.set(this.#portions)
    days.set(this.#days)
    this.#portions = portions
    this.#days = days
  }
}
