/**
 * Sessions in Memcached or Redis, so that several daemons know the same about a mail.
 *
 * Requests of one mail wait for each other: within this process in line, for another process by
 * asking for its lock again and again, at most `lockSeconds` in all. A lock is a key with an
 * expiry, so a daemon that dies holds up nobody for longer than that. A session is JSON. Our keys
 * have a prefix of their own: what mtpolicyd in Perl keeps in the same store cannot be read here.
 *
 * A session that cannot be read is an empty one. One of more than MOST_BYTES is not stored again:
 * what this request has added is lost, and the caller says so.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { LookupError } from '../policy/errors.ts'
import type { KeyValueStore } from '../policy/key-value.ts'
import { Session, type SessionCache, type SessionValue } from '../policy/session.ts'
import { makeTurns } from './turns.ts'

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
/** Between two questions for a lock: the first is soon, because most requests are short. */
const FIRST_PAUSE_MILLISECONDS = 5
const LONGEST_PAUSE_MILLISECONDS = 100
/** memcached counts whole seconds, and may be almost one ahead. */
const STORES_HASTE_MILLISECONDS = 1000

export function storedSessions(
  store: KeyValueStore,
  { expireSeconds, lockSeconds }: StoredSessionOptions,
): SessionCache {
  const turns = makeTurns()
  /** What this process holds: of each mail at most one, because requests wait for their turn. */
  const held = new Map<string, Lock>()
  const daemon = process.getBuiltinModule('node:crypto').randomUUID()
  let locks = 0

  async function lock(instance: string, latest: number): Promise<Lock> {
    const owner = `${daemon}-${locks++}`
    let pause = FIRST_PAUSE_MILLISECONDS
    for (;;) {
      const since = performance.now()
      if (await store.add(LOCK_PREFIX + instance, owner, lockSeconds)) return { owner, since }
      const left = latest - performance.now()
      if (left <= 0) {
        throw new LookupError('another daemon is busy with the same mail, and does not end')
      }
      await sleep(Math.min(left, pause * (0.5 + Math.random())))
      pause = Math.min(2 * pause, LONGEST_PAUSE_MILLISECONDS)
    }
  }

  async function isStillOurs(instance: string, { owner, since }: Lock): Promise<boolean> {
    const surely = lockSeconds * 1000 - STORES_HASTE_MILLISECONDS
    if (performance.now() - since < surely) return true
    return (await store.get(LOCK_PREFIX + instance)) === owner
  }

  return {
    async acquire(instance) {
      const latest = performance.now() + lockSeconds * 1000
      await turns.take(instance, lockSeconds * 1000)
      try {
        held.set(instance, await lock(instance, latest))
        return readSession(await store.get(PREFIX + instance))
      } catch (error) {
        // Without an answer to the last question the lock may be there, and goes by itself.
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
          throw new LookupError('it took longer than "lock_timeout", and what it found is lost')
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
    // JSON.parse makes nothing that is not a SessionValue.
    return new Session(new Map(Object.entries(values as Record<string, SessionValue>)))
  } catch {
    return new Session()
  }
}

function writeSession(session: Session): string {
  // JSON has no infinite numbers; as texts they are read back as numbers where a number is meant.
  const json = JSON.stringify(Object.fromEntries(session.entries()), (_key, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  )
  const bytes = Buffer.byteLength(json)
  if (bytes > MOST_BYTES) {
    throw new LookupError(`a session of ${bytes} bytes is too large, and is not stored`)
  }
  return json
}
