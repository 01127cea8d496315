/**
 * An LDAP directory (RFC 4511) that is asked over one connection, which all searches share: opened
 * with the first, encrypted and bound as configured, opened again when it is lost.
 *
 * A search takes 3 seconds at most, whatever the configuration allows, because a request has only
 * 4. A directory that did not answer is left alone for a moment: whoever asks then fails at once.
 * StartTLS is for ldap:// alone: ldaps:// is encrypted already, and ldapi:// never leaves the host.
 */

import { once } from 'node:events'
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectSecure, type TLSSocket } from 'node:tls'
import type { Client, ClientOptions, Entry } from 'ldapts'
import type { Directory, DirectoryEntry } from '../policy/directory.ts'
import { describeError, LookupError, withoutLogin, withoutSecret } from '../policy/errors.ts'
import { oneLine } from '../policy/verdict.ts'
import { describeSocketError } from './peer-connection.ts'
import { trustedAuthorities } from './trusted-authorities.ts'

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

const LONGEST_MS = 3000
/** How long a directory that did not answer is left alone. */
const PAUSE_MS = 3000
/** slapd hangs up on who has more than 100 searches under way (conn_max_pending). */
const MOST_AT_ONCE = 50
/** slapd's socket on Debian. */
const LDAPI_PATH = '/var/run/slapd/ldapi'
const DEFAULT_PORT = 389

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
/** Those of a search that is not answered, where others mean that it never will be. */
const NO_ANSWER = new Set([3, 51, 52])

interface Connection {
  readonly client: Client
  readonly connected: Promise<unknown>
  /** Rejects when the connection is lost. */
  readonly lost: Promise<never>
  readonly isOpen: boolean
  lose(reason: string): void
  /** Says good-bye if it still can. */
  close(): void
}

/** Throws LookupError if nothing can be reached with these options. */
export function ldapDirectory(options: LdapOptions, pauseMs = PAUSE_MS): ClosableDirectory {
  const target = parseTarget(options)
  const { binddn, password } = options
  if (binddn && !password) {
    // RFC 4513, 5.1.2: the server would take it for nobody, and not say so.
    throw new LookupError('"binddn" needs a "password"')
  }
  const longestMs = Math.min(options.timeout * 1000, LONGEST_MS)
  let current: Promise<Connection> | undefined
  /** All searches, those that have their turn, and those that wait for it. */
  let searches = 0
  let running = 0
  const waiting: (() => void)[] = []
  let isClosed = false
  let failure = ''
  let failedUntil = 0

  function messageOf(reason: unknown): string {
    return `${target.name}: ${withoutSecret(reasonOf(reason), password)}`
  }

  function failed(reason: unknown): LookupError {
    failure = messageOf(reason)
    failedUntil = performance.now() + pauseMs
    return new LookupError(failure)
  }

  async function open(): Promise<Connection> {
    const { Client } = await import('ldapts')
    const connection = connectTo(target, socketed => new Client(socketed))
    const timer = setTimeout(() => connection.lose('no answer in time'), longestMs)
    try {
      await orLost(connection, connection.connected)
      // Its options are given where the socket is made.
      if (target.startsTls) await orLost(connection, connection.client.startTLS())
      if (binddn) await orLost(connection, connection.client.bind(binddn, password))
      return connection
    } catch (error) {
      connection.close()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  function connected(): Promise<Connection> {
    if (current) return current
    const opening = open()
    current = opening
    opening.then(
      ({ lost }) => lost.catch(() => forget(opening)),
      () => forget(opening),
    )
    return opening
  }

  function forget(connecting: Promise<Connection> | undefined): void {
    if (current === connecting) current = undefined
    connecting?.then(
      connection => connection.close(),
      () => undefined,
    )
  }

  async function search(
    ...[base, filter, attributes, most]: Parameters<Directory['search']>
  ): Promise<readonly DirectoryEntry[] | undefined> {
    const { FilterParser } = await import('ldapts')
    try {
      FilterParser.parseString(filter)
    } catch {
      return undefined
    }
    const deadline = performance.now() + longestMs
    await takeTurn(deadline)
    try {
      for (let isFirst = true; ; isFirst = false) {
        const wasOpen = current !== undefined
        const connecting = connected()
        const connection = await before(deadline, connecting).catch(error => {
          throw failed(error)
        })
        try {
          const asked = connection.client.search(base, {
            filter,
            attributes: [...attributes],
            sizeLimit: most,
            timeLimit: Math.ceil(longestMs / 1000),
          })
          const { searchEntries } = await before(deadline, orLost(connection, asked))
          return searchEntries.slice(0, most).map(entryOf)
        } catch (error) {
          const code = resultCodeOf(error)
          if (code !== undefined && !NO_ANSWER.has(code)) return undefined
          if (code !== undefined) throw new LookupError(messageOf(error))
          const isStale = !connection.isOpen
          forget(connecting)
          // The directory may have closed it, or have started again: once more, from anew.
          if (!isStale || !wasOpen || !isFirst) throw failed(error)
        }
      }
    } finally {
      endTurn()
    }
  }

  async function takeTurn(deadline: number): Promise<void> {
    if (running < MOST_AT_ONCE) {
      running++
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.push(resolve)
    try {
      await before(deadline, promise)
    } catch (error) {
      const place = waiting.indexOf(resolve)
      if (place >= 0) waiting.splice(place, 1)
      else endTurn()
      throw failed(error)
    }
  }

  function endTurn(): void {
    const next = waiting.shift()
    if (next) next()
    else running--
  }

  return {
    async search(...question) {
      if (isClosed) throw new LookupError(`${target.name}: closed`)
      if (performance.now() < failedUntil) throw new LookupError(failure)
      searches++
      try {
        return await search(...question)
      } finally {
        searches--
        if (searches === 0 && !options.keepalive) forget(current)
      }
    },
    close() {
      isClosed = true
      forget(current)
    },
  }
}

interface Target {
  /** As messages call it. */
  readonly name: string
  readonly socket: { readonly path: string } | { readonly host: string; readonly port: number }
  readonly isSecure: boolean
  readonly startsTls: boolean
}

function parseTarget({ host: text, port: configured, starttls }: LdapOptions): Target {
  const [, scheme = 'ldap', rest = ''] = /^(?:(ldaps?|ldapi):\/\/)?(.*?)\/?$/i.exec(text) ?? []
  const kind = scheme.toLowerCase()
  if (kind === 'ldapi') {
    const path = rest === '' ? LDAPI_PATH : decodePath(rest)
    return { name: text, socket: { path }, isSecure: false, startsTls: false }
  }
  const [, bracketed, plain, written] =
    /^(?:\[([^\]]+)\]|([^:[\]\s/]+))(?::(\d{1,5}))?$/.exec(rest) ?? []
  const host = bracketed ?? plain ?? (isIP(rest) === 6 ? rest : undefined)
  if (host === undefined)
    throw new LookupError(`expected a host or an ldap URL, found "${withoutLogin(text)}"`)
  const isSecure = kind === 'ldaps'
  const port = Number(written ?? (isSecure && configured === DEFAULT_PORT ? 636 : configured))
  const name = `${withoutLogin(host)}:${port}`
  return { name, socket: { host, port }, isSecure, startsTls: starttls && !isSecure }
}

function decodePath(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new LookupError(
      `expected ldapi:// and a path with %2F for each /, found "${withoutLogin(text)}"`,
    )
  }
}

/**
 * A client of the library's, on sockets of ours: ldapts 9.2 notices the end of a
 * connection after StartTLS only by waiting in vain, has no time-out for the handshake, and opens
 * two connections for two searches at once.
 */
function connectTo(target: Target, newClient: (options: ClientOptions) => Client): Connection {
  const sockets: Socket[] = []
  const { promise: lost, reject } = Promise.withResolvers<never>()
  lost.catch(() => undefined)
  let isOpen = true

  function lose(reason: string): void {
    isOpen = false
    reject(new Error(reason))
    for (const socket of sockets) socket.destroy()
  }

  function watched<T extends Socket>(socket: T): T {
    sockets.push(socket)
    socket.on('error', error => lose(describeSocketError(error)))
    socket.on('close', () => lose('the connection was closed'))
    return socket
  }

  function secured(plain: Socket): TLSSocket {
    const identity = 'host' in target.socket ? identityOf(target.socket.host) : {}
    const secureContext = trustedAuthorities()
    return watched(connectSecure({ ...identity, socket: plain, secureContext }))
  }

  const plain = watched(connectPlain({ ...target.socket, noDelay: true, keepAlive: true }))
  const socket = target.isSecure ? secured(plain) : plain
  const connected = once(socket, target.isSecure ? 'secureConnect' : 'connect')
  connected.catch(() => undefined)
  const client = newClient({
    url: 'ldap://directory',
    createConnection: () => socket,
    createSecureConnection: () => secured(plain),
  })
  return {
    client,
    connected,
    lost,
    lose,
    get isOpen() {
      return isOpen
    },
    close() {
      if (!isOpen) return
      isOpen = false
      client.unbind().catch(() => undefined)
      setTimeout(() => lose('closed'), 1000).unref()
    },
  }
}

/** The name its certificate must have; an address is no server name (RFC 6066, 3). */
function identityOf(host: string): { host: string; servername?: string } {
  return isIP(host) ? { host } : { host, servername: host }
}

/** The work's result, unless the connection is lost first. */
function orLost<T>(connection: Connection, work: Promise<T>): Promise<T> {
  return Promise.race([work, connection.lost])
}

/** The work's result, or an error at the deadline, a time of performance.now(). */
async function before<T>(deadline: number, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const left = Math.max(0, deadline - performance.now())
  const timer = setTimeout(() => reject(new Error('no answer in time')), left)
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}

/** The directory has answered, and refused: with which code? Network errors have names as codes. */
function resultCodeOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'number' ? error.code : undefined
}

/** Servers often say nothing but the code. */
function reasonOf(error: unknown): string {
  const code = resultCodeOf(error)
  const text = oneLine(describeError(error)).trim()
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
