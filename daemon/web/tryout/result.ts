/** What was stopped of whom, by the settings in force and by those on trial, as the console shows it. */

import type { Stopped, TriedAccount, TryoutSums } from '../api.ts'

/** Accounts in an answer; the others are in the sums. */
const MOST_ACCOUNTS = 500

export interface StoppedAccount extends Stopped {
  readonly account: string
}

const NOTHING: Stopped = { times: 0, recipients: 0, first: null, by: [] }

export function sumsOf(stopped: readonly StoppedAccount[]): TryoutSums {
  return {
    accounts: stopped.length,
    times: stopped.reduce((sum, { times }) => sum + times, 0),
    recipients: stopped.reduce((sum, { recipients }) => sum + recipients, 0),
  }
}

/** Those of whom most is stopped under trial first. */
export function compared(
  now: readonly StoppedAccount[],
  tried: readonly StoppedAccount[],
): TriedAccount[] {
  const before = new Map(now.map(one => [one.account, one]))
  const after = new Map(tried.map(one => [one.account, one]))
  const bare = ({ times, recipients, first, by }: Stopped): Stopped => {
    return { times, recipients, first, by }
  }
  return [...new Set([...after.keys(), ...before.keys()])]
    .map(account => ({
      account,
      now: bare(before.get(account) ?? NOTHING),
      tried: bare(after.get(account) ?? NOTHING),
    }))
    .toSorted(
      (a, b) =>
        b.tried.recipients - a.tried.recipients ||
        b.now.recipients - a.now.recipients ||
        (a.account < b.account ? -1 : 1),
    )
    .slice(0, MOST_ACCOUNTS)
}
