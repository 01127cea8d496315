/**
 * Limits that fit what accounts have sent: round numbers, each with what it would have done.
 *
 * What is usual is the largest day, or hour, of all accounts but the highest twentieth. The limit that is
 * recommended leaves twice as much. An account that sends more again and again, as a newsletter does, needs a
 * number of its own. What it has sent once, or only on days in a row, raises no number and deserves a look
 * first: that is what a stolen password looks like, over midnight and over a weekend as well.
 */

import { type HourSent, LOWEST_HOUR, type Sent } from './sending.ts'

const DAY = 86_400_000
/** What is less does not show what is usual: it may lack the day of the newsletter. */
export const SHORTEST_PERIOD = 7 * DAY
const LOWEST_DAY = 20
const USUAL = 0.95
/** Three quarters of the accounts send no more; five times that is another kind of sender. */
const MANY = 0.75
const MUCH_MORE = 5
/** Nobody is another kind of sender because of a letter to a class. */
const A_FEW = 50
/** Days that are further from each other have nothing to do with the same stolen password. */
const APART = 6 * DAY
const SCARCE = 1.25
const AMPLE = 2
const ROUND = [1, 1.5, 2, 3, 4, 5, 6, 8, 10]

export interface Stopped {
  readonly account: string
  /** Days, or hours, in which it would have been stopped. */
  readonly times: number
  /** Beyond the limit in those. */
  readonly recipients: number
}

export interface Proposal {
  /** The host variable. */
  readonly variable: string
  readonly value: number
  /** Those that send most first; of an account's own limit: what it has sent only once. */
  readonly stopped: readonly Stopped[]
}

export interface Proposals {
  /** The largest of each account in this window. */
  readonly half: number
  readonly usual: number
  readonly most: number
  /** From the lowest; one of them is `recommended`. */
  readonly all: readonly Proposal[]
  readonly recommended: Proposal
  /** Limits of single accounts, which the recommended one would stop again and again. */
  readonly own: readonly Proposal[]
  /** Who would be stopped by the recommended one, or by its own, for what it does not send again and again. */
  readonly unusual: readonly Stopped[]
}

interface Sums {
  readonly account: string
  /** Its days, or its hours. */
  readonly sums: readonly HourSent[]
  readonly largest: number
}

export interface Suggestion {
  readonly day: Proposals
  readonly hour: Proposals
}

/** `nameKey`: an account as a part of a variable's name. Undefined: nobody has sent anything. */
export function suggest(
  accounts: readonly Sent[],
  nameKey: (account: string) => string,
): Suggestion | undefined {
  if (accounts.length === 0) return undefined
  const days = accounts.map(({ account, days }): Sums => {
    const sums = [...days].map(([day, recipients]) => ({ day, recipients }))
    return { account, sums, largest: Math.max(...days.values()) }
  })
  const hours = accounts.map(
    ({ account, hours, largestHour }): Sums => ({ account, sums: hours, largest: largestHour }),
  )
  const of = (account: string): string => `mtpolicyd/user/${nameKey(account)}/threshold`
  return {
    day: proposals(days, 'mtpolicyd/threshold', LOWEST_DAY, of),
    hour: proposals(
      hours,
      'mtpolicyd/threshold/hour',
      LOWEST_HOUR,
      account => `${of(account)}/hour`,
    ),
  }
}

function proposals(
  accounts: readonly Sums[],
  variable: string,
  lowest: number,
  variableOf: (account: string) => string,
): Proposals {
  const largest = accounts.map(one => one.largest).toSorted((a, b) => a - b)
  const usual = quantile(largest, USUAL)
  // Where accounts are few, a newsletter alone may be the highest twentieth.
  const ordinary = Math.min(usual, Math.max(A_FEW, quantile(largest, MANY) * MUCH_MORE))
  const most = largest.at(-1) ?? 0
  const propose = (value: number): Proposal => {
    return { variable, value, stopped: stoppedBy(value, accounts) }
  }
  const recommended = propose(Math.max(lowest, roundUp(ordinary * AMPLE)))
  const others = [ordinary * SCARCE, most * SCARCE]
    .map(value => Math.max(lowest, roundUp(value)))
    .filter(value => value !== recommended.value)
  const all = [recommended, ...[...new Set(others)].map(propose)]
  const own: Proposal[] = []
  const unusual: Stopped[] = []
  for (const one of accounts
    .filter(({ largest }) => largest > recommended.value)
    .toSorted(byLargest)) {
    const regular = regularOf(one, recommended.value)
    const value = regular === undefined ? recommended.value : roundUp(regular * SCARCE)
    const stopped = stoppedBy(value, [one])
    if (regular !== undefined) own.push({ variable: variableOf(one.account), value, stopped })
    unusual.push(...stopped)
  }
  return {
    half: quantile(largest, 0.5),
    usual,
    most,
    all: all.toSorted((a, b) => a.value - b.value),
    recommended,
    own,
    unusual,
  }
}

function stoppedBy(value: number, accounts: readonly Sums[]): Stopped[] {
  return accounts
    .filter(({ largest }) => largest > value)
    .toSorted(byLargest)
    .map(({ account, sums }) => {
      const over = sums.filter(sum => sum.recipients > value)
      const recipients = over.reduce((all, sum) => all + sum.recipients - value, 0)
      return { account, times: over.length, recipients }
    })
}

const byLargest = (a: Sums, b: Sums): number => b.largest - a.largest

/**
 * What it sends again and again, beyond a value: the most that there was nearly as much of on a day
 * well before or after. Undefined: nothing.
 */
function regularOf({ sums }: Sums, value: number): number | undefined {
  const above = sums
    .filter(({ recipients }) => recipients > value)
    .toSorted((a, b) => b.recipients - a.recipients)
  return above.find((one, at) => {
    const end = above.findIndex(({ recipients }) => recipients * AMPLE < one.recipients)
    return above.slice(at + 1, end < 0 ? undefined : end).some(other => areApart(one, other))
  })?.recipients
}

function areApart(a: HourSent, b: HourSent): boolean {
  return Math.abs(Date.parse(a.day) - Date.parse(b.day)) >= APART
}

/** The number that this share of the others does not exceed. `sorted` is not empty. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0
}

/** The next number that people would choose: 150, 200, 300. */
export function roundUp(number: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, number)))
  const factor = ROUND.find(one => one * power >= number) ?? 10
  return Math.ceil(factor * power)
}
