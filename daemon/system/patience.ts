/**
 * The circuit breaker for everything outside the daemon that may stop answering.
 *
 *                 failed N times              the rest is over, one request
 *      trusted ───────────────────▶ resting ────────────────────────────────▶ probing
 *         ▲                            ▲                failed                   │
 *         │                            └─────────────────────────────────────────┤
 *         └──────────────────────────── any answer ──────────────────────────────┘
 *
 * So a silent server costs one request its time, not every request; requests in the meantime fail at
 * once; and the first answer restores it. Any answer counts, even a refusal: the server keeps nobody
 * waiting. What the users need:
 *
 *   SQL, LDAP, Redis, memcached, policy services
 *                rest twice as long as they were waited for, at least 0.2 s: a database that restarts is
 *                in use again at once, and a dead one delays one request in a while.
 *   LDAP         after a refused login at least 3 s: directories lock accounts.
 *   postmap      rests at least 1 s: each attempt is a process.
 *   block lists  rest for 60 s, after three time-outs in a row: UDP loses a packet now and then, and
 *                mail loses little by doing without one list.
 *   name servers have none: one of them has to be queried. The one that answered last comes first.
 *
 * A caller that is admitted reports the result: `answered`, `failed` or `withdrawn`.
 */

import type { Clock } from './clock.ts'
import type { Refused } from './refused.ts'

export type Standing =
  /** `failures`: in a row, up to now. */
  | { readonly kind: 'trusted'; readonly failures: number }
  /** `until` by the monotonic clock. */
  | { readonly kind: 'resting'; readonly until: number; readonly reason: string }
  /** Should nobody report what came of the probe, another is admitted at `until`. */
  | { readonly kind: 'probing'; readonly until: number; readonly reason: string }

export interface PatienceOptions {
  /** Failures in a row that are forgiven before it rests. */
  readonly forgiven?: number
  readonly shortestRestMilliseconds?: number
}

const SHORTEST_REST_MILLISECONDS = 200
/** Longer than anything here is waited for. */
const PROBE_MILLISECONDS = 60_000
/** How long to back off, as a multiple of the time spent waiting for nothing. */
const REST_FACTOR = 2

export class Patience {
  readonly #elapsed: () => number
  readonly #forgiven: number
  readonly #shortestRest: number
  #standing: Standing = { kind: 'trusted', failures: 0 }

  constructor(clock: Pick<Clock, 'elapsed'>, options: PatienceOptions = {}) {
    this.#elapsed = clock.elapsed
    this.#forgiven = options.forgiven ?? 0
    this.#shortestRest = options.shortestRestMilliseconds ?? SHORTEST_REST_MILLISECONDS
  }

  get standing(): Standing {
    return this.#standing
  }

  /** Why a request would not be admitted now. Changes nothing. */
  refusal(): Refused | undefined {
    const standing = this.#standing
    if (standing.kind === 'trusted') return undefined
    const { kind, reason, until } = standing
    const milliseconds = until - this.#elapsed()
    if (milliseconds <= 0) return undefined
    return kind === 'probing'
      ? { why: 'probing', reason }
      : { why: 'resting', milliseconds, reason }
  }

  /** Undefined: admitted; report how it ended. The first one admitted after a rest is the probe. */
  admit(): Refused | undefined {
    const refused = this.refusal()
    if (refused === undefined && this.#standing.kind !== 'trusted') {
      const { reason } = this.#standing
      this.#standing = { kind: 'probing', until: this.#elapsed() + PROBE_MILLISECONDS, reason }
    }
    return refused
  }

  /** There was an answer, or an end that cost no time. True: it had been resting. */
  answered(): boolean {
    const standing = this.#standing
    const isTrusted = standing.kind === 'trusted'
    if (!isTrusted || standing.failures > 0) this.#standing = { kind: 'trusted', failures: 0 }
    return !isTrusted
  }

  /**
   * No answer, or no connection.
   * @param waited milliseconds that it took
   * @param least milliseconds of rest, whatever it took
   * @returns true if it was trusted up to now
   */
  failed(reason: string, waited: number, least = 0): boolean {
    const standing = this.#standing
    // Requests that were under way when the rest began tell nothing new.
    if (standing.kind === 'resting' && standing.until > this.#elapsed()) return false
    const wasTrusted = standing.kind === 'trusted'
    if (wasTrusted && standing.failures < this.#forgiven) {
      this.#standing = { kind: 'trusted', failures: standing.failures + 1 }
      return false
    }
    const rest = Math.max(this.#shortestRest, least, REST_FACTOR * waited)
    this.#standing = { kind: 'resting', until: this.#elapsed() + rest, reason }
    return wasTrusted
  }

  /** The admitted request was not sent after all, or its end says nothing. */
  withdrawn(): void {
    if (this.#standing.kind !== 'probing') return
    const { reason } = this.#standing
    this.#standing = { kind: 'resting', until: this.#elapsed(), reason }
  }
}
