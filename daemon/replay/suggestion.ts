/**
 * Limits that fit what accounts have sent: round numbers, each with what it would have done.
 *
 * What is usual is the largest day, or hour, of all accounts but the highest twentieth. The limit that is
 * recommended leaves twice as much. Whoever would have been stopped by it more than once, as a
 * newsletter would, needs a number of their own; whoever was stopped once deserves a look first.
 */

import { LOWEST_HOUR, type Sent } from './sending.ts'

const DAY = 86_400_000
/** What is less does not show what is usual: it may lack the day of the newsletter. */
export const SHORTEST_PERIOD = 7 * DAY
const LOWEST_DAY = 20
const USUAL = 0.95
/** Three quarters of the accounts send no more; five times that is another kind of sender. */
const MANY = 0.75
const MUCH_MORE = 5
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
  /** Those that send most first; of an account's own limit: nobody. */
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
  /** Of accounts that the recommended one stops again and again. */
  readonly own: readonly Proposal[]
}

interface Sums {
  readonly account: string
  readonly sums: readonly number[]
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
    const sums = [...days.values()]
    return { account, sums, largest: Math.max(...sums) }
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
  // Of few accounts, a newsletter alone may be the highest twentieth.
  const ordinary = Math.min(usual, quantile(largest, MANY) * MUCH_MORE)
  const most = largest.at(-1) ?? 0
  const propose = (value: number): Proposal => {
    return { variable, value, stopped: stoppedBy(value, accounts) }
  }
  const recommended = propose(Math.max(lowest, roundUp(ordinary * AMPLE)))
  const others = [ordinary * SCARCE, most * SCARCE]
    .map(value => Math.max(lowest, roundUp(value)))
    .filter(value => value !== recommended.value)
  const all = [recommended, ...[...new Set(others)].map(propose)]
  const again = recommended.stopped.filter(({ times }) => times > 1)
  const own = again.map(({ account }) => {
    const found = accounts.find(one => one.account === account)
    const value = roundUp((found?.largest ?? 0) * SCARCE)
    return { variable: variableOf(account), value, stopped: [] }
  })
  return {
    half: quantile(largest, 0.5),
    usual,
    most,
    all: all.toSorted((a, b) => a.value - b.value),
    recommended,
    own,
  }
}

function stoppedBy(value: number, accounts: readonly Sums[]): Stopped[] {
  return accounts
    .filter(({ largest }) => largest > value)
    .toSorted((a, b) => b.largest - a.largest)
    .map(({ account, sums }) => {
      const over = sums.filter(sum => sum > value)
      const recipients = over.reduce((all, sum) => all + sum - value, 0)
      return { account, times: over.length, recipients }
    })
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
