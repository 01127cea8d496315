/**
 * Redis or Valkey as a key-value store; with Sentinel, whichever server is the master now.
 *
 * The library connects, and queries the sentinels. When to connect is decided here: when a
 * command is given and there is no connection. A lost connection fails all that are pending, and no command is sent
 * twice. A server that turns out to be a replica (READONLY) is left: the next command connects again,
 * and a name or an address that follows the master leads there. No message shows the password.
 */

import type { RedisOptions as LibraryOptions, Redis } from 'iovalkey'
import { KEEP_ALIVE_MILLISECONDS, ServerAccess } from '../net/server-access.ts'
import { Lost, NoAnswer, Unreachable } from '../net/server-failure.ts'
import { type Clock, systemClock } from '../system/clock.ts'
import { describeError, LookupError, withoutLogin } from '../system/errors.ts'
import { within } from '../system/within.ts'
import {
  ANSWER_MILLISECONDS,
  type ClosableKeyValueStore,
  checkSize,
  serverAddress,
  storeAccess,
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

/** Opens no connection yet. Throws LookupError if a server's name cannot be understood. */
export function redisStore(
  options: RedisOptions,
  clock: Clock = systemClock,
): ClosableKeyValueStore {
  const connection = new RedisConnection(options, clock)
  return {
    get: async key => (await connection.ask(client => client.get(key))) ?? undefined,
    async set(key, value, expireSeconds) {
      checkSize(value)
      await connection.ask(client => client.set(key, value, 'EX', whole(expireSeconds)))
    },
    async add(key, value, expireSeconds) {
      checkSize(value)
      const answer = await connection.ask(client =>
        client.set(key, value, 'EX', whole(expireSeconds), 'NX'),
      )
      return answer === 'OK'
    },
    increment: (key, expireSeconds) =>
      connection.ask(async client => {
        const results = await client.multi().incr(key).expire(key, whole(expireSeconds)).exec()
        const [error, sum] = results?.[0] ?? []
        if (error) throw error
        return Number(sum)
      }),
    async delete(key) {
      await connection.ask(client => client.del(key))
    },
    close: () => connection.close(),
  }
}

/** A connection of the library's from its beginning to its end; it is never repaired. */
interface Link {
  /** Takes commands. Rejects also if the database is refused: no other one is used instead. */
  readonly ready: Promise<Redis>
  /** Rejects when it has ended. */
  readonly ended: Promise<never>
  end(failure: LookupError): void
  client: Redis | undefined
  failure: LookupError | undefined
}

class RedisConnection {
  readonly #options: RedisOptions
  readonly #clock: Clock
  readonly #access: ServerAccess
  readonly #nextTarget: () => LibraryOptions
  #current: Link | undefined

  constructor(options: RedisOptions, clock: Clock) {
    const { server, sock, sentinels, service, password } = options
    const where = sentinels.length > 0 ? `service ${service}` : (sock ?? withoutLogin(server))
    this.#options = options
    this.#clock = clock
    this.#nextTarget = targets(options)
    const closeIdle = (): void => this.#current?.end(new Lost('idle'))
    this.#access = new ServerAccess(
      storeAccess({ title: `redis ${where}`, clock, secret: password, closeIdle }),
    )
  }

  ask<T>(question: (client: Redis) => Promise<T>): Promise<T> {
    return this.#access.ask(milliseconds => {
      this.#current ??= this.#open()
      const link = this.#current
      const answer = link.ready.then(question).catch(error => {
        throw failureOf(error, link)
      })
      return within(this.#clock, milliseconds, Promise.race([answer, link.ended]), () => {
        const silence = new NoAnswer(ANSWER_MILLISECONDS)
        link.end(silence)
        return silence
      })
    })
  }

  close(): void {
    this.#access.close()
    this.#current?.end(new Lost('the connection has been closed'))
  }

  #open(): Link {
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => undefined)
    const link: Link = {
      ready: Promise.resolve()
        .then(() => this.#connect(link))
        .catch(error => {
          link.end(isReply(error) ? new Unreachable(textOf(error)) : failureOf(error, link))
          throw link.failure
        }),
      ended: promise,
      client: undefined,
      failure: undefined,
      end: failure => {
        link.failure ??= failure
        reject(link.failure)
        if (this.#current === link) this.#current = undefined
        link.client?.disconnect()
      },
    }
    return link
  }

  async #connect(link: Link): Promise<Redis> {
    const { password, db, sentinels } = this.#options
    const { default: library } = await import('iovalkey')
    if (link.failure) throw link.failure
    const client = new library.Redis({
      ...this.#nextTarget(),
      // Else see logIn: the library would complain on the console about one that is not needed.
      ...(password === undefined || sentinels.length === 0 ? {} : { password }),
      connectTimeout: ANSWER_MILLISECONDS,
      disconnectTimeout: ANSWER_MILLISECONDS,
      keepAlive: KEEP_ALIVE_MILLISECONDS,
      // While it loads its data, a server says so at once; the library would wait for the end of it.
      enableReadyCheck: sentinels.length > 0,
      // A new connection is made by the next command.
      retryStrategy: () => null,
      autoResendUnfulfilledCommands: false,
    })
    link.client = client
    let isConnected = false
    client
      .on('connect', () => {
        isConnected = true
      })
      .on('error', error => {
        const isRefused = !isConnected || isReply(error)
        link.end(isRefused ? new Unreachable(textOf(error)) : new Lost(textOf(error)))
      })
      .on('end', () => link.end(new Lost('the connection was closed')))
    if (password !== undefined && sentinels.length === 0) await logIn(client, password)
    if (db !== 0) await client.select(db)
    return client
  }
}

async function logIn(client: Redis, password: string): Promise<void> {
  try {
    await client.call('AUTH', password)
  } catch (error) {
    // Redis since version 6, and before.
    const isNotNeeded = /without any password configured|no password is set/
    if (!isNotNeeded.test(describeError(error))) throw error
  }
}

/** The library's own errors say less than the link's end does. */
function failureOf(error: unknown, link: Link): LookupError {
  const said = textOf(error)
  if (!isReply(error)) return link.failure ?? new Lost(said)
  if (/^(?:READONLY|MASTERDOWN)/.test(said)) link.end(new LookupError(said))
  return link.failure ?? new LookupError(said)
}

/** Redis has answered, and refused. */
function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError'
}

/** Redis quotes the beginning of a command that it does not know, AUTH with the password for example. */
function textOf(error: unknown): string {
  // EXECABORT only says that something was wrong with one of the commands before.
  if (error instanceof Error && 'previousErrors' in error && Array.isArray(error.previousErrors)) {
    const [first] = error.previousErrors
    if (first) return textOf(first)
  }
  return describeError(error).replace(/, with args beginning with: .*/s, '')
}

function whole(seconds: number): number {
  return Math.max(1, Math.ceil(seconds))
}

/**
 * Where to connect, for each attempt. Each begins with another sentinel, so that one that hangs does not
 * use up the time of every request.
 */
function targets(options: RedisOptions): () => LibraryOptions {
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
