/**
 * Redis or Valkey as a key-value store; with Sentinel, whichever server is the master now.
 *
 * The library connects, and asks the sentinels. When to connect is decided here: when a question is
 * asked and there is no connection. A lost connection fails all who wait, and nothing is sent a
 * second time. No message shows the password.
 */

import type { RedisOptions as LibraryOptions, Redis } from 'iovalkey'
import { describeError, LookupError, withoutLogin, withoutSecret } from '../policy/errors.ts'
import {
  ANSWER_MILLISECONDS,
  type ClosableKeyValueStore,
  checkSize,
  MOST_WAITING,
  Patience,
  serverAddress,
} from './server-limits.ts'

export interface RedisOptions {
  /** HOST:PORT. */
  readonly server: string
  /** Path of a socket, instead of `server`. */
  readonly sock: string | undefined
  /** HOST:PORT of sentinels, instead of `server`. */
  readonly sentinels: readonly string[]
  /** What the sentinels call the master. */
  readonly service: string | undefined
  readonly password: string | undefined
  readonly db: number
}

/** A connection from its beginning to its end; it is never repaired. */
interface Link {
  /** Ready for questions. Rejects also if the database is refused: no other one is used instead. */
  readonly ready: Promise<Redis>
  client: Redis | undefined
  /** Why it ended, as far as is known. */
  reason: string | undefined
  /** Did it end because nobody answered? All who wait for it fail then, each for another reason. */
  isSilent: boolean
}

/** Connects to nobody yet. Throws LookupError if a server's name cannot be understood. */
export function redisStore(options: RedisOptions): ClosableKeyValueStore {
  const { server, sock, sentinels, service, db } = options
  const where = `redis ${sentinels.length > 0 ? `service ${service}` : (sock ?? withoutLogin(server))}`
  const whereabouts = librarysWhereabouts(options)
  let current: Link | undefined
  const patience = new Patience()
  let waiting = 0
  let isClosed = false

  function open(): Link {
    const link: Link = { ready: begin(), client: undefined, reason: undefined, isSilent: false }
    return link

    async function begin(): Promise<Redis> {
      const { default: library } = await import('iovalkey')
      const client = new library.Redis({
        ...whereabouts(),
        ...(options.password === undefined ? {} : { password: options.password }),
        connectTimeout: ANSWER_MILLISECONDS,
        commandTimeout: ANSWER_MILLISECONDS,
        disconnectTimeout: ANSWER_MILLISECONDS,
        // What is lost is lost: the next question makes a new one.
        retryStrategy: () => null,
        autoResendUnfulfilledCommands: false,
      })
      link.client = client
      client.on('error', error => end(link, describeError(error)))
      client.on('end', () => end(link, 'the connection was closed'))
      if (isClosed) client.disconnect()
      if (db !== 0) await client.select(db)
      return client
    }
  }

  function end(link: Link, reason: string): void {
    link.reason ??= reason
    if (current !== link) return
    current = undefined
    link.client?.disconnect()
  }

  async function ask<T>(question: (client: Redis) => Promise<T>): Promise<T> {
    const refuse = (reason: string): never => {
      // Of a command that it does not know, AUTH say, Redis quotes the beginning.
      const said = reason.replace(/, with args beginning with: .*/s, '')
      throw new LookupError(`${where}: ${withoutSecret(said, options.password)}`)
    }
    if (isClosed) return refuse('closed')
    if (waiting >= MOST_WAITING) return refuse('too many questions wait for it')
    const refusal = patience.refusal()
    if (refusal !== undefined) return refuse(refusal)
    waiting++
    current ??= open()
    const link = current
    try {
      const answer = await question(await link.ready)
      patience.noteHeard()
      return answer
    } catch (error) {
      const said = describeError(error)
      const isLate = said === 'Command timed out' || /ETIMEDOUT/.test(link.reason ?? said)
      if (!isLate && !link.isSilent) patience.noteHeard()
      if (isLate && !link.isSilent) {
        link.isSilent = true
        patience.noteSilent()
        end(link, `no answer within ${ANSWER_MILLISECONDS} ms`)
      }
      return refuse(link.reason ?? said)
    } finally {
      waiting--
    }
  }

  return {
    get: async key => (await ask(client => client.get(key))) ?? undefined,
    async set(key, value, expireSeconds) {
      checkSize(value)
      await ask(client => client.set(key, value, 'EX', whole(expireSeconds)))
    },
    async add(key, value, expireSeconds) {
      checkSize(value)
      return (
        (await ask(client => client.set(key, value, 'EX', whole(expireSeconds), 'NX'))) === 'OK'
      )
    },
    increment: (key, expireSeconds) =>
      ask(async client => {
        const results = await client.multi().incr(key).expire(key, whole(expireSeconds)).exec()
        const [error, sum] = results?.[0] ?? []
        if (error) throw error
        return Number(sum)
      }),
    async delete(key) {
      await ask(client => client.del(key))
    },
    close() {
      isClosed = true
      if (current) end(current, 'closed')
    },
  }
}

function whole(seconds: number): number {
  return Math.max(1, Math.ceil(seconds))
}

/**
 * Where the library shall connect. Each attempt begins with another sentinel, so that one that
 * hangs does not use up everybody's time.
 */
function librarysWhereabouts(options: RedisOptions): () => LibraryOptions {
  const { server, sock, sentinels, service } = options
  if (sentinels.length > 0) {
    if (service === undefined) throw new LookupError('"sentinels" needs "service" as well')
    const addresses = sentinels.map(sentinel => {
      const address = serverAddress(sentinel, 26379)
      if ('path' in address)
        throw new LookupError(`expected HOST:PORT, found "${withoutLogin(sentinel)}"`)
      return address
    })
    let attempts = 0
    return () => {
      const first = attempts++ % addresses.length
      return {
        sentinels: [...addresses.slice(first), ...addresses.slice(0, first)],
        name: service,
        sentinelCommandTimeout: ANSWER_MILLISECONDS,
        sentinelRetryStrategy: () => null,
      }
    }
  }
  const address = sock === undefined ? serverAddress(server, 6379) : { path: sock }
  return () => ({ ...address })
}
