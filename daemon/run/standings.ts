/**
 * Where an account stands in each limit of a configuration. Nothing is counted; a limit whose table or
 * counts cannot be read says why, and the others are told all the same.
 */

import type { LimitStanding } from '../control/protocol.ts'
import type { AccountLimit, AccountStanding } from '../policy/account-limit.ts'
import type { AccountMeasures } from '../policy/ports/measures.ts'
import { describeError } from '../system/errors.ts'
import type { MaybePromise } from '../system/maybe-promise.ts'

/** `name`: as in sasl_username. `now`: milliseconds since 1970. In the order of the file, each count once. */
export async function standingsOf(
  limits: readonly AccountLimit[],
  name: string,
  now: number,
  measures: AccountMeasures | undefined,
): Promise<LimitStanding[]> {
  const found = await Promise.all(
    limits.map(one => standingIn(one, () => one.standing(name, now, measures))),
  )
  const byCount = new Map<string, LimitStanding>()
  for (const one of found) {
    if (!one) continue
    const { counter, standing } = one
    const count = `${counter}\n${standing.subject}`
    // The first one decides, if several have the same.
    if (!byCount.has(count)) byCount.set(count, standing)
  }
  return [...byCount.values()]
}

async function standingIn(
  { name, counter, per, unit, window }: AccountLimit,
  ask: () => MaybePromise<AccountStanding | undefined>,
): Promise<{ readonly counter: string; readonly standing: LimitStanding } | undefined> {
  const block = { name, per, unit, window }
  try {
    const found = await ask()
    if (!found) return undefined
    const { subject, used, again = null, next } = found
    const most = Number.isFinite(found.limit) ? found.limit : 'unlimited'
    return { counter, standing: { ...block, subject, used, limit: most, again, next } }
  } catch (error) {
    const unknown = { subject: '', used: null, limit: null, again: null, next: undefined }
    return { counter, standing: { ...block, ...unknown, problem: describeError(error) } }
  }
}
