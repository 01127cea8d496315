/**
 * Sessions in Memcached or Redis, so that several daemons know the same about a message.
 *
 * Requests of one message wait for each other: within this process in line, for another process by
 * trying to get its lock again and again, at most `lockSeconds` in total. A lock is a key that expires,
 * so a daemon that dies delays nobody for longer than that. A session is JSON. The keys have a prefix of
 * their own: what the Perl mtpolicyd keeps in the same store cannot be read here.
 *
 * A session that cannot be read is an empty one. One of more than MOST_BYTES is not stored again: what
 * this request has added is lost, and the caller logs it.
 */

import type { KeyValueStore } from '../policy/ports/key-value.ts'
import { Session, type SessionCache, type SessionValue } from '../policy/session.ts'
import { type Clock, systemClock } from '../system/clock.ts'
import { LookupError } from '../system/errors.ts'
import { seconds } from '../system/refused.ts'
import { Turns } from './turns.ts'

export interface StoredSessionOptions {
  readonly expireSeconds: number
  readonly lockSeconds: number
}

interface Lock {
  readonly owner: string
  readonly since: number
}

const PREFIX = 'univention-mtpolicyd-session-'
const LOCK_PREFIX = 'univention-mtpolicyd-lock-'
const MOST_BYTES = 512 * 1024
/** Between two attempts to get a lock: short at first, because most requests are. */
const FIRST_PAUSE_MILLISECONDS = 5
const LONGEST_PAUSE_MILLISECONDS = 100
/** memcached counts whole seconds, and may be almost one ahead. */
const EARLY_EXPIRY_MILLISECONDS = 1000

export function storedSessions(
  store: KeyValueStore,
  { expireSeconds, lockSeconds }: StoredSessionOptions,
  clock: Clock = systemClock,
): SessionCache {
  const turns = new Turns(clock)
  /** The locks of this process: at most one per message, because requests wait for their turn. */
  const held = new Map<string, Lock>()
  const daemon = process.getBuiltinModule('node:crypto').randomUUID()
  let locks = 0

  async function lock(instance: string, latest: number): Promise<Lock> {
    const owner = `${daemon}-${locks++}`
    let pause = FIRST_PAUSE_MILLISECONDS
    for (;;) {
      const since = clock.elapsed()
      if (await store.add(LOCK_PREFIX + instance, owner, lockSeconds)) return { owner, since }
      const left = latest - clock.elapsed()
      if (left <= 0) {
        throw new LookupError(
          `another daemon has not released the session within ${seconds(lockSeconds * 1000)}`,
        )
      }
      await clock.sleep(Math.min(left, pause * (0.5 + Math.random())))
      pause = Math.min(2 * pause, LONGEST_PAUSE_MILLISECONDS)
    }
  }

  async function isStillOurs(instance: string, { owner, since }: Lock): Promise<boolean> {
    const heldFor = clock.elapsed() - since
    if (heldFor < lockSeconds * 1000 - EARLY_EXPIRY_MILLISECONDS) return true
    return (await store.get(LOCK_PREFIX + instance)) === owner
  }

  return {
    async acquire(instance) {
      const latest = clock.elapsed() + lockSeconds * 1000
      await turns.take(instance, lockSeconds * 1000)
      try {
        held.set(instance, await lock(instance, latest))
        return readSession(await store.get(PREFIX + instance))
      } catch (error) {
        // If the last answer got lost, the lock may have been set; it expires by itself.
        held.delete(instance)
        turns.pass(instance)
        throw error
      }
    },

    async release(instance, session) {
      const lock = held.get(instance)
      if (!lock) return
      try {
        if (!(await isStillOurs(instance, lock))) {
          throw new LookupError(
            'the request took longer than "lock_timeout"; its changes to the session are lost',
          )
        }
        try {
          await store.set(PREFIX + instance, writeSession(session), expireSeconds)
        } finally {
          await store.delete(LOCK_PREFIX + instance)
        }
      } finally {
        held.delete(instance)
        turns.pass(instance)
      }
    },
  }
}

function readSession(json: string | undefined): Session {
  if (json === undefined) return new Session()
  try {
    const values: unknown = JSON.parse(json)
    if (typeof values !== 'object' || values === null || Array.isArray(values)) return new Session()
    // JSON.parse creates nothing but SessionValues.
    return new Session(new Map(Object.entries(values as Record<string, SessionValue>)))
  } catch {
    return new Session()
  }
}

function writeSession(session: Session): string {
  // JSON has no infinite numbers; as text they are read back as numbers where a number is expected.
  const json = JSON.stringify(Object.fromEntries(session.entries()), (_key, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  )
  const bytes = Buffer.byteLength(json)
  if (bytes > MOST_BYTES) {
    throw new LookupError(`a session of ${bytes} bytes is too large and is not stored`)
  }
  return json
}
