/**
 * What each account has sent in the last 25 hours, counted from full hours: for `top` of the last day, at once.
 * A million accounts take 20 MB.
 */

import { Cells } from '../memory/cells.ts'
import type { Sums } from './hour-page.ts'
import type { Portion } from './portion.ts'

/** The hour that has begun, and 24 before. */
export const RECENT_HOURS = 25

export class Recent {
  readonly #messages = new Cells()
  readonly #recipients = new Cells()
  readonly #refused = new Cells()
  readonly #bytes = new Cells()
  /** Hours since 1970. */
  first: number
  /** Hours from the first one on. */
  readonly hours: number
  /** False until what is kept of these hours was added. */
  isWhole = false

  constructor(first: number, hours: number) {
    this.first = first
    this.hours = hours
  }

  /** Adds, or takes away, what an account has sent in an hour, if it is one of these. */
  add(
    hour: number,
    account: number,
    messages: number,
    recipients: number,
    refused: number,
    bytes: number,
  ): void {
    if (hour < this.first || hour >= this.first + this.hours) return
    if (messages !== 0) addTo(this.#messages, account, messages)
    if (recipients !== 0) addTo(this.#recipients, account, recipients)
    if (refused !== 0) addTo(this.#refused, account, refused)
    if (bytes !== 0) addTo(this.#bytes, account, bytes)
  }

  of(account: number): Sums {
    return {
      messages: this.#messages.get(account),
      recipients: this.#recipients.get(account),
      refused: this.#refused.get(account),
      bytes: this.#bytes.get(account),
    }
  }

  messagesOf(account: number): number {
    return this.#messages.get(account)
  }

  /**
   * The largest first, then, ordered by what was refused, those all of whose mail was refused: such an account may be
   * the one that was hacked. Those with nothing are left out. `end`: all accounts are below.
   */
  largest(by: 'recipients' | 'messages' | 'refused', most: number, end: number): number[] {
    const cells = { recipients: this.#recipients, messages: this.#messages, refused: this.#refused }
    const found = largest(end, most, account => cells[by].get(account))
    if (by === 'refused') return found
    const rest = largest(end, most - found.length, account =>
      cells[by].get(account) === 0 ? this.#refused.get(account) : 0,
    )
    return [...found, ...rest]
  }

  clear(account: number): void {
    for (const cells of [this.#messages, this.#recipients, this.#refused, this.#bytes]) {
      if (cells.get(account) !== 0) cells.set(account, 0)
    }
  }
}

function addTo(cells: Cells, account: number, more: number): void {
  cells.set(account, Math.max(0, cells.get(account) + more))
}

/** The numbers from 0 to `end` with the largest values, largest first; 0 is none. */
export function largest(end: number, most: number, sizeOf: (number: number) => number): number[] {
  if (most < 1) return []
  let found: { number: number; value: number }[] = []
  let least = 0
  const keep = (): void => {
    found.sort((one, other) => other.value - one.value || one.number - other.number)
    found = found.slice(0, most)
    if (found.length === most) least = found.at(-1)?.value ?? 0
  }
  for (let number = 0; number < end; number++) {
    const value = sizeOf(number)
    if (value <= least) continue
    found.push({ number, value })
    if (found.length >= most * 2 + 100) keep()
  }
  keep()
  return found.map(one => one.number)
}

/** What a portion has of these hours. */
export function addPortion(portion: Portion, sums: Recent): void {
  const { accounts, hours, messages, recipients, refused, bytes } = portion
  for (let item = 0; item < portion.count; item++) {
    sums.add(
      hours[item] ?? 0,
      accounts[item] ?? 0,
      messages[item] ?? 0,
      recipients[item] ?? 0,
      refused[item] ?? 0,
      bytes[item] ?? 0,
    )
  }
}
