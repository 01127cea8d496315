/**
 * An SQL connection to a server: a few links to it, opened when they are needed, for the plugins
 * that name one in `db`. What the servers have in common; their drivers have files of their own.
 *
 * Nothing waits for long: a request that finds no free link within 1.5 s fails, a link not opened
 * in 1.5 s and a statement not answered in 2 s fail, so a dead server costs a request less than
 * its deadline of 4 s. Afterwards it is left alone for twice as long as it was waited for, and
 * whoever needs it fails at once. When it is back, nobody needs to be told. A link that is lost is
 * replaced; what ran on it fails, because nobody knows whether it was done, except for a query,
 * which is asked again if the link was found dead. A password never gets into a message.
 */

import { LookupError, withoutSecret } from '../policy/errors.ts'
import type { SqlRow, SqlValue } from '../policy/ports.ts'
import type { ClosableSqlConnection } from './sqlite-connection.ts'

export interface Tls {
  /** Else it is done without where the server has none. */
  readonly isRequired: boolean
  readonly checks: 'nothing' | 'certificate' | 'name'
  /** File with the certificates of those we trust; undefined: the system's. */
  readonly authority: string | undefined
}

export interface ServerAddress {
  readonly host: string
  readonly port: number
  /** Instead of host and port: the path of a socket, in PostgreSQL the folder it is in. */
  readonly socket: string | undefined
  readonly database: string
  readonly user: string
  readonly password: string
  readonly tls: Tls | undefined
}

export interface Answer {
  /** At most as many as were asked for. */
  readonly rows: readonly SqlRow[]
  readonly changed: number
}

/** One conversation with a server: one statement at a time. */
export interface Link {
  run(sql: string, values: readonly SqlValue[], most: number): Promise<Answer>
  /** Says goodbye. */
  end(): void
  /** Ends it without a word. */
  destroy(): void
}

export interface Driver {
  readonly dialect: 'mysql' | 'postgres'
  /** As messages call it. */
  readonly title: string
  /** Reads the library's code. */
  load(): Promise<unknown>
  /**
   * Resolves when statements can be run; gives up when the signal says so. `lost` is called when
   * the link turns out to be dead later; what runs on it then need not settle.
   */
  open(address: ServerAddress, signal: AbortSignal, lost: (error: unknown) => void): Promise<Link>
}

export const STATEMENT_MILLISECONDS = 1800
const CONNECT_MILLISECONDS = 1500
const WAIT_MILLISECONDS = 1500
/** Longer than what the server is told, so that it can say itself that it took too long. */
const ANSWER_MILLISECONDS = 2000
/** At least; a server that was waited for in vain is left alone twice as long as that took. */
const PAUSE_MILLISECONDS = 200
/** Before a firewall in between forgets it. */
const IDLE_MILLISECONDS = 60_000
const MOST_LINKS = 4
const MOST_WAITING = 1000

interface Member {
  link: Link | undefined
  isLost: boolean
  /** Has it answered before? */
  isProven: boolean
  /** Fails what runs on it. */
  abandon: (error: unknown) => void
  idle: NodeJS.Timeout | undefined
}

interface Waiter {
  take(member: Member): void
  fail(error: unknown): void
}

/** The link was dead before it could have heard the statement, as far as one can tell. */
class FoundDead extends LookupError {}

const nothing = (): void => undefined

/** Opens nothing yet. */
export function serverConnection(driver: Driver, address: ServerAddress): ClosableSqlConnection {
  const where = address.socket ?? `${address.host}:${address.port}`
  const title = `${driver.title} at ${where}`
  const idle: Member[] = []
  const waiting = new Set<Waiter>()
  let members = 0
  let opening = 0
  let failure: string | undefined
  let askedAgainAt = 0
  let isClosed = false

  // Its code is large; the first mail need not wait for it. Whether it can be had is seen below.
  driver.load().catch(nothing)

  function problem(error: unknown): LookupError {
    const message = `${title}: ${withoutSecret(reasonOf(error), address.password)}`
    return error instanceof FoundDead ? new FoundDead(message) : new LookupError(message)
  }

  /** The server is as good as dead: for a while nobody waits for it. */
  function pause(error: unknown, since: number): void {
    const now = performance.now()
    failure = reasonOf(error)
    askedAgainAt = now + Math.max(PAUSE_MILLISECONDS, 2 * (now - since))
    openIfNeeded()
  }

  function isPaused(): boolean {
    return failure !== undefined && performance.now() < askedAgainAt
  }

  function open(): void {
    members++
    opening++
    const member: Member = {
      link: undefined,
      isLost: false,
      isProven: false,
      abandon: nothing,
      idle: undefined,
    }
    const started = performance.now()
    const signal = AbortSignal.timeout(CONNECT_MILLISECONDS)
    driver
      .open(address, signal, error => lose(member, error))
      .then(
        link => {
          opening--
          failure = undefined
          member.link = link
          if (member.isLost) link.destroy()
          release(member)
          openIfNeeded()
        },
        error => {
          opening--
          lose(member, error)
          if (signal.aborted) pause(new Error('no connection within 1.5 s'), started)
          // One too many, that nobody waits for any more, says nothing about the server.
          else if (waiting.size > 0) pause(error, started)
        },
      )
  }

  function openIfNeeded(): void {
    if (isPaused()) {
      // Nobody is left who could become free.
      if (members === 0) for (const waiter of waiting) waiter.fail(failure)
      return
    }
    // A server that was dead is tried with one link.
    const most = failure !== undefined && members === opening ? 1 : MOST_LINKS
    if (!isClosed && members < most && waiting.size > opening) open()
  }

  function lose(member: Member, error: unknown): void {
    if (member.isLost) return
    member.isLost = true
    members--
    clearTimeout(member.idle)
    const place = idle.indexOf(member)
    if (place >= 0) idle.splice(place, 1)
    member.link?.destroy()
    member.abandon(error)
  }

  function release(member: Member): void {
    member.abandon = nothing
    const [next] = waiting
    if (member.isLost) openIfNeeded()
    else if (isClosed) retire(member)
    else if (next) next.take(member)
    else {
      idle.push(member)
      member.idle = setTimeout(() => retire(member), IDLE_MILLISECONDS).unref()
    }
  }

  function retire(member: Member): void {
    const { link } = member
    member.link = undefined
    lose(member, undefined)
    link?.end()
  }

  function member(): Member | Promise<Member> {
    const free = idle.pop()
    if (free) {
      clearTimeout(free.idle)
      return free
    }
    if (isClosed) throw problem('the connection has been closed')
    if (members === 0 && isPaused()) {
      throw problem(`${failure}; not asked again for a moment`)
    }
    if (waiting.size >= MOST_WAITING) throw problem(`${MOST_WAITING} queries wait already`)
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer)
        waiting.delete(waiter)
      }
      const waiter: Waiter = {
        take(found) {
          done()
          resolve(found)
        },
        fail(error) {
          done()
          reject(problem(error))
        },
      }
      const timer = setTimeout(
        () => waiter.fail('no connection was free within 1.5 s'),
        WAIT_MILLISECONDS,
      )
      waiting.add(waiter)
      openIfNeeded()
    })
  }

  async function run(sql: string, values: readonly SqlValue[], most: number): Promise<Answer> {
    const found = await member()
    const { link } = found
    const started = performance.now()
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise((resolve, reject) => {
        if (found.isLost || !link) return reject(new FoundDead('the connection was lost'))
        found.abandon = error => reject(found.isProven ? new FoundDead(reasonOf(error)) : error)
        timer = setTimeout(() => {
          const silence = new Error('no answer within 2 s')
          found.isProven = false
          for (const one of [found, ...idle]) lose(one, silence)
          pause(silence, started)
        }, ANSWER_MILLISECONDS)
        link.run(sql, values, most).then(resolve, reject)
      })
    } catch (error) {
      throw problem(error)
    } finally {
      clearTimeout(timer)
      found.isProven = true
      release(found)
    }
  }

  return {
    dialect: driver.dialect,

    async query(sql, values, most) {
      try {
        return (await run(sql, values, most)).rows
      } catch (error) {
        if (!(error instanceof FoundDead)) throw error
        return (await run(sql, values, most)).rows
      }
    },

    execute: async (sql, values) => (await run(sql, values, 0)).changed,

    close() {
      isClosed = true
      for (const waiter of waiting) waiter.fail('the connection has been closed')
      for (const one of [...idle]) retire(one)
    },
  }
}

/** Of several attempts, for the addresses of one name, the first one's. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  if (!(error instanceof Error)) return String(error)
  return error.message || error.name
}
