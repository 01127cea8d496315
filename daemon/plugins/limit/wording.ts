/**
 * The text of a refusal, independent of a language: what it says, and the numbers and times in it.
 */

import type { Unit } from '../../policy/ports/ledger.ts'
import { MEGABYTE } from './amount.ts'
import type { LimitWindow } from './window.ts'

/** Why a message is refused. Amounts are in the counter's unit. */
export interface Refusal {
  readonly unit: Unit
  readonly window: LimitWindow
  /** Whose limit it is: all users of a domain or the server, an address; undefined: the user's own. */
  readonly whom: string | undefined
  readonly limit: number
  /** What is left of it. */
  readonly left: number
  /** What the message needs. */
  readonly amount: number
  /** When it would be accepted, as people read it; undefined: never. */
  readonly again: string | undefined
}

export interface Wording {
  refused(refusal: Refusal): string
  tooManyRecipients(most: number): string
  /** Bytes. */
  tooBig(most: number, size: number): string
  /** What stands after "per". */
  window(window: LimitWindow): string
  /** The users of a domain as the owners of a limit. */
  domain(name: string): string
  /** All users as its owners. */
  readonly server: string
  /** Instead of a time. */
  readonly never: string
}

export type Words = readonly [one: string, several: string]

/** `1 recipient`, `2.5 MB`: what is left is rounded down, what is needed is rounded up. */
export function counting(recipient: Words, message: Words, megabytes: string, comma: string) {
  const number = (amount: number, unit: Unit, round: (value: number) => number): string => {
    if (unit !== 'bytes') return String(amount)
    return String(round((amount / MEGABYTE) * 10) / 10).replace('.', comma)
  }
  const counted = (amount: number, unit: Unit, round = Math.ceil): string => {
    const [one, several] = unit === 'recipients' ? recipient : message
    const noun = unit === 'bytes' ? megabytes : amount === 1 ? one : several
    return `${number(amount, unit, round)} ${noun}`
  }
  return { number, counted }
}

/** Is it more than the limit ever lets through? On a day the usual text says as much. */
export function isTooMuch({ window, amount, limit, again }: Refusal): boolean {
  if (window === 'day' || limit === 0) return false
  return amount > limit || again === undefined
}

export function minutesOf({ milliseconds }: { readonly milliseconds: number }): number {
  return milliseconds / 60_000
}

/** `hour`, `10 minutes`, `24 hours`, `30 days`. */
export function span(
  window: LimitWindow,
  units: Readonly<Record<'day' | 'week' | 'month' | 'hour' | 'minute', Words>>,
): string {
  if (typeof window === 'string') return units[window][0]
  const minutes = minutesOf(window)
  const [count, unit] =
    minutes % 1440 === 0 && minutes > 1440
      ? ([minutes / 1440, 'day'] as const)
      : minutes % 60 === 0
        ? ([minutes / 60, 'hour'] as const)
        : ([minutes, 'minute'] as const)
  const [one, several] = units[unit]
  return count === 1 ? one : `${count} ${several}`
}
