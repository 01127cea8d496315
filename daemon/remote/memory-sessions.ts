/**
 * Sessions in this process's memory: what is known about a message, for `expireSeconds` after its last
 * request. Requests of one message wait for each other, at most `lockSeconds`.
 *
 * Two generations replace an expiry per entry: a session that is not used during a whole generation is
 * dropped with it.
 */

import { ownText } from '../memory/own-text.ts'
import { Session, type SessionCache } from '../policy/session.ts'
import type { Clock } from '../system/clock.ts'
import { whenReady } from '../system/maybe-promise.ts'
import { Turns } from './turns.ts'

export interface MemorySessionOptions {
  readonly expireSeconds: number
  readonly lockSeconds: number
}

/** Sessions kept at most; each is small, and a message needs one. */
const MOST_SESSIONS = 100_000

export function memorySessions(options: MemorySessionOptions, clock: Clock): SessionCache {
  const { now } = clock
  let recent = new Map<string, Session>()
  let older = new Map<string, Session>()
  let turnedAt = now()
  const turns = new Turns(clock)

  function find(instance: string): Session {
    const at = now()
    const generations = Math.abs(at - turnedAt) / (options.expireSeconds * 1000)
    if (generations > 1 || recent.size >= MOST_SESSIONS / 2) {
      older = generations > 2 ? new Map() : recent
      recent = new Map()
      turnedAt = at
    }
    const known = recent.get(instance)
    if (known) return known
    const session = older.get(instance) ?? new Session()
    recent.set(ownText(instance), session)
    return session
  }

  return {
    acquire: instance =>
      whenReady(turns.take(instance, options.lockSeconds * 1000), () => find(instance)),
    release: instance => turns.pass(instance),
  }
}
