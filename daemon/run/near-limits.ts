/** Which accounts have come near a limit (`warn_at`) within the last day, for status and alerts. */

import type { NearLimitStatus } from '../control/protocol.ts'
import { ownText } from '../memory/own-text.ts'
import type { VerdictRecord } from '../policy/verdict-record.ts'

/** Accounts that are remembered; beyond that the first one is deleted. */
const MOST_NEAR = 1000
const REMEMBERED_MILLISECONDS = 86_400_000

export class NearLimits {
  /** By account. */
  readonly #known = new Map<string, NearLimitStatus>()

  readonly note = (record: VerdictRecord): void => {
    const { near, used, limit } = record.facts
    const isNear = typeof near === 'string'
    // Without a `warn_at` there is nothing to look up.
    if (!isNear && this.#known.size === 0) return
    if (typeof used !== 'number' || typeof limit !== 'number') return
    const { account } = record
    const before = this.#known.get(account)
    if (isNear) this.#add({ account, limits: near, used, limit, at: record.at }, before)
    // Later mail of the account tells how much of it is used by now.
    else if (before?.limit === limit) this.#known.set(account, { ...before, used })
  }

  #add(one: NearLimitStatus, before: NearLimitStatus | undefined): void {
    const account = ownText(one.account)
    const names = new Set([...one.limits.split(','), ...(before?.limits.split(',') ?? [])])
    this.#known.delete(account)
    this.#known.set(account, { ...one, account, limits: ownText([...names].join(',')) })
    if (this.#known.size <= MOST_NEAR) return
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest)
      break
    }
  }

  /** The newest first. `now`: milliseconds since 1970. */
  list(now: number): NearLimitStatus[] {
    const isFresh = ({ at }: NearLimitStatus): boolean =>
      Math.abs(now - at) < REMEMBERED_MILLISECONDS
    return [...this.#known.values()].filter(isFresh).toReversed()
  }
}
