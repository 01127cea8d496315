/** The items of a portion in the order in which they are written, and some of them. */

import type { Portion } from './portion.ts'

/** There are at most 2,000,000 accounts. */
const ACCOUNT_BITS = 22
const DIGIT_BITS = 11
const DIGITS = 2 ** DIGIT_BITS

/** The items in the order of their accounts, and of time. */
export function orderOf({ accounts, count }: Portion): Uint32Array {
  let order = new Uint32Array(count)
  for (let item = 0; item < count; item++) order[item] = item
  for (let shift = 0; shift < ACCOUNT_BITS; shift += DIGIT_BITS) {
    order = orderedByDigit(order, accounts, shift)
  }
  return order
}

/** One pass of a radix sort, which keeps the order of what is equal. */
function orderedByDigit(
  order: Uint32Array<ArrayBuffer>,
  accounts: Uint32Array,
  shift: number,
): Uint32Array<ArrayBuffer> {
  const places = new Uint32Array(DIGITS + 1)
  const digitOf = (item: number): number => ((accounts[item] ?? 0) >>> shift) & (DIGITS - 1)
  for (const item of order) {
    const next = digitOf(item) + 1
    places[next] = (places[next] ?? 0) + 1
  }
  for (let digit = 1; digit <= DIGITS; digit++) {
    places[digit] = (places[digit] ?? 0) + (places[digit - 1] ?? 0)
  }
  const ordered = new Uint32Array(order.length)
  for (const item of order) {
    const digit = digitOf(item)
    const place = places[digit] ?? 0
    ordered[place] = item
    places[digit] = place + 1
  }
  return ordered
}

/** Each value once; usually there are one or two. */
export function differentOf(count: number, of: (item: number) => number): Set<number> {
  const found = new Set<number>()
  let last = Number.NaN
  for (let item = 0; item < count; item++) {
    const value = of(item)
    if (value !== last) found.add(value)
    last = value
  }
  return found
}

export function those(items: Uint32Array, isOne: (item: number) => boolean): Uint32Array {
  const found = new Uint32Array(items.length)
  let count = 0
  for (const item of items) if (isOne(item)) found[count++] = item
  return found.subarray(0, count)
}
