/**
 * An LDAP directory (RFC 4511) that is searched over one connection, which all searches share: opened
 * with the first one, encrypted and bound as configured, closed when it is not used, opened again when it
 * is lost.
 *
 * A search takes 3 seconds at most, whatever the configuration allows, because a request has only 4.
 */

import type { Entry, Filter } from 'ldapts'
import { IDLE_MILLISECONDS, ServerAccess } from '../net/server-access.ts'
import { Lost, NoAnswer, ServerFailure, Unreachable } from '../net/server-failure.ts'
import type { Directory, DirectoryEntry } from '../policy/ports/directory.ts'
import { oneLine } from '../policy/verdict.ts'
import { type Clock, systemClock } from '../system/clock.ts'
import { describeError, LookupError } from '../system/errors.ts'
import { within } from '../system/within.ts'
import { LdapFilterError, readLdapFilter } from '../text/ldap-filter.ts'
import { LdapConnection, type Login } from './ldap-connection.ts'
import { libraryFilter } from './ldap-filter.ts'
import { type LdapTarget, ldapTarget } from './ldap-target.ts'

export interface LdapOptions {
  readonly host: string
  readonly port: number
  readonly keepalive: boolean
  /** Seconds. */
  readonly timeout: number
  readonly binddn: string | undefined
  readonly password: string | undefined
  readonly starttls: boolean
}

export interface ClosableDirectory extends Directory {
  close(): void
}

const LONGEST_MILLISECONDS = 3000
/** slapd hangs up on a client that has more than 100 searches under way (conn_max_pending). */
const MOST_AT_ONCE = 50
const MOST_WAITING = 1000
/** Directories lock accounts whose password is wrong again and again. */
const REFUSED_LOGIN_MILLISECONDS = 3000

const INVALID_CREDENTIALS = 49
const BUSY = 51
const UNAVAILABLE = 52

/** Result codes of RFC 4511, A, that an operator is likely to meet. */
const RESULTS: Readonly<Record<number, string>> = {
  2: 'protocol error',
  3: 'time limit exceeded',
  8: 'stronger authentication is required',
  13: 'encryption is required',
  48: 'no such authentication',
  49: 'invalid credentials',
  51: 'busy',
  52: 'unavailable',
  53: 'unwilling to perform',
}
/** The search may be answered another time; with other codes it never will be. */
const NO_ANSWER = new Set([3, BUSY, UNAVAILABLE])

interface Question {
  readonly base: string
  readonly filter: Filter
  readonly attributes: readonly string[]
  readonly most: number
}

/** Throws LookupError if nothing can be reached with these options. */
export function ldapDirectory(options: LdapOptions, clock: Clock = systemClock): ClosableDirectory {
  const { binddn, password } = options
  const target = ldapTarget(options)
  if (binddn && !password) {
    // RFC 4513, 5.1.2: the server would treat it as anonymous, and not say so.
    throw new LookupError('"binddn" needs a "password"')
  }
  return new LdapDirectory(options, target, clock)
}

class LdapDirectory implements ClosableDirectory {
  readonly #clock: Clock
  readonly #target: LdapTarget
  readonly #login: Login | undefined
  readonly #access: ServerAccess
  readonly #milliseconds: number
  #current: Promise<LdapConnection> | undefined

  constructor(options: LdapOptions, target: LdapTarget, clock: Clock) {
    const { binddn, password, timeout, keepalive } = options
    this.#clock = clock
    this.#target = target
    this.#login = binddn ? { name: binddn, password } : undefined
    this.#milliseconds = Math.min(timeout * 1000, LONGEST_MILLISECONDS)
    this.#access = new ServerAccess({
      title: target.name,
      clock,
      secret: password,
      atOnce: MOST_AT_ONCE,
      waiting: MOST_WAITING,
      milliseconds: this.#milliseconds,
      closeIdle: () => this.#giveUp(this.#current),
      idleMilliseconds: keepalive ? IDLE_MILLISECONDS : 0,
    })
  }

  async search(
    ...[base, filter, attributes, most]: Parameters<Directory['search']>
  ): Promise<readonly DirectoryEntry[] | undefined> {
    let wanted: Filter
    try {
      wanted = libraryFilter(readLdapFilter(filter), await import('ldapts'))
    } catch (error) {
      if (error instanceof LdapFilterError) return undefined
      throw error
    }
    return this.#access.ask(milliseconds =>
      this.#search({ base, filter: wanted, attributes, most }, milliseconds),
    )
  }

  close(): void {
    this.#access.close()
    this.#giveUp(this.#current)
  }

  async #search(
    question: Question,
    milliseconds: number,
  ): Promise<readonly DirectoryEntry[] | undefined> {
    const deadline = this.#clock.elapsed() + milliseconds
    for (let isFirst = true; ; isFirst = false) {
      const wasOpen = this.#current !== undefined
      const opening = this.#connected()
      const connection = await this.#before(deadline, opening)
      try {
        return await this.#before(deadline, connection.orLost(ask(connection, question)))
      } catch (error) {
        const code = resultCodeOf(error)
        if (code !== undefined && !NO_ANSWER.has(code)) return undefined
        // It may be about to be stopped, or behind a name that leads to another one next time.
        const isTelling = !(error instanceof NoAnswer) || milliseconds >= this.#milliseconds / 2
        if ((code === undefined && isTelling) || code === UNAVAILABLE) this.#giveUp(opening)
        const isStale = error instanceof Lost
        // The directory may have closed it, or have been restarted: once more, on a new connection.
        if (!isStale || !wasOpen || !isFirst) throw failureOf(error)
      }
    }
  }

  /** Waits for it no longer than until the deadline, by the monotonic clock. */
  #before<T>(deadline: number, work: Promise<T>): Promise<T> {
    const left = Math.max(0, deadline - this.#clock.elapsed())
    return within(this.#clock, left, work, () => new NoAnswer(this.#milliseconds))
  }

  #connected(): Promise<LdapConnection> {
    if (this.#current) return this.#current
    const opening = this.#open()
    this.#current = opening
    const forget = (): void => {
      if (this.#current === opening) this.#current = undefined
    }
    opening.then(connection => connection.onceLost(forget), forget)
    return opening
  }

  async #open(): Promise<LdapConnection> {
    const connection = new LdapConnection(this.#target, await import('ldapts'))
    const cancel = this.#clock.after(this.#milliseconds, () =>
      connection.lose(new NoAnswer(this.#milliseconds)),
    )
    try {
      await connection.prepare(this.#login)
      return connection
    } catch (error) {
      connection.close()
      if (error instanceof NoAnswer) throw error
      const least = resultCodeOf(error) === INVALID_CREDENTIALS ? REFUSED_LOGIN_MILLISECONDS : 0
      throw new Unreachable(reasonOf(error), undefined, least)
    } finally {
      cancel()
    }
  }

  #giveUp(opening: Promise<LdapConnection> | undefined): void {
    if (this.#current === opening) this.#current = undefined
    opening?.then(
      connection => connection.close(),
      () => undefined,
    )
  }
}

async function ask(
  { client }: LdapConnection,
  { base, filter, attributes, most }: Question,
): Promise<readonly DirectoryEntry[]> {
  const { searchEntries } = await client.search(base, {
    filter,
    attributes: [...attributes],
    sizeLimit: most,
    timeLimit: LONGEST_MILLISECONDS / 1000,
  })
  return searchEntries.slice(0, most).map(entryOf)
}

/** An answer is a LookupError, whatever else a failure says about the server. */
function failureOf(error: unknown): LookupError {
  return error instanceof ServerFailure ? error : new LookupError(reasonOf(error))
}

/** The directory has answered, and refused: with which code? Network errors have names as codes. */
function resultCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'number' ? error.code : undefined
}

/** Servers often send nothing but the code. */
function reasonOf(error: unknown): string {
  const code = resultCodeOf(error)
  const text = oneLine(error instanceof ServerFailure ? error.reason : describeError(error)).trim()
  return code === undefined ? text : `${RESULTS[code] ?? 'refused'} (${text})`
}

function entryOf(entry: Entry): DirectoryEntry {
  const values: Record<string, readonly string[]> = {}
  for (const [name, value] of Object.entries(entry)) {
    if (name === 'dn') continue
    const list = Array.isArray(value) ? value : [value]
    values[name.toLowerCase()] = list.map(String)
  }
  return values
}
