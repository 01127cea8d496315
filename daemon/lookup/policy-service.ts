/**
 * Another policy service, queried as Postfix does it (SMTPD_POLICY_README, attr_scan(3)).
 *
 * Without keepalive each request has a connection of its own. With it a few are kept, and one that the
 * service has closed in the meantime is replaced once. A service that queries us in return would never
 * end: beyond a number of pending requests the next one fails. A service that stays silent is left
 * alone for a while, like every other server.
 */

import { isIPv6 } from 'node:net'
import { type PeerAddress, PeerConnection } from '../net/peer-connection.ts'
import { ServerAccess } from '../net/server-access.ts'
import { Lost, NoAnswer } from '../net/server-failure.ts'
import type { PolicyService } from '../policy/ports/peers.ts'
import type { Attributes } from '../policy/request.ts'
import { type Clock, systemClock } from '../system/clock.ts'
import { LookupError, withoutLogin } from '../system/errors.ts'

export interface ClosablePolicyService extends PolicyService {
  close(): void
}

/** Requests pending at a time; Postfix's smtpd has 100 processes unless configured. */
const MOST_PENDING = 500
const MOST_IDLE = 16
const IDLE_MILLISECONDS = 30_000
/** For requests without a deadline. */
const LONGEST_MILLISECONDS = 60_000
/** Silence for less than that may only mean that little was left of the request's time. */
const TELLING_MILLISECONDS = 1000

const END_OF_ANSWER = /(?:^|\n)\r?\n/

/** Throws LookupError if `host` is not HOST:PORT. */
export function policyService(
  endpoint: { readonly host: string } | { readonly socket: string },
  keepalive: boolean,
  clock: Clock = systemClock,
): ClosablePolicyService {
  const name = 'host' in endpoint ? endpoint.host : endpoint.socket
  const address = 'host' in endpoint ? parseHost(endpoint.host) : { path: endpoint.socket }
  return new PeerService(name, address, keepalive, clock)
}

class PeerService implements ClosablePolicyService {
  readonly #name: string
  readonly #address: PeerAddress
  readonly #mostIdle: number
  readonly #clock: Clock
  readonly #access: ServerAccess
  readonly #idle: PeerConnection[] = []

  constructor(name: string, address: PeerAddress, keepalive: boolean, clock: Clock) {
    this.#name = name
    this.#address = address
    this.#mostIdle = keepalive ? MOST_IDLE : 0
    this.#clock = clock
    this.#access = new ServerAccess({
      title: name,
      clock,
      atOnce: MOST_PENDING,
      waiting: 0,
      milliseconds: LONGEST_MILLISECONDS,
    })
  }

  ask(attributes: Attributes, signal: AbortSignal): Promise<string> {
    return this.#access.ask(async milliseconds => {
      const began = this.#clock.elapsed()
      const limit = new AbortController()
      const abort = (): void => limit.abort()
      const cancel = this.#clock.after(milliseconds, abort)
      signal.addEventListener('abort', abort)
      if (signal.aborted) abort()
      try {
        return await this.#query(queryOf(attributes), limit.signal)
      } catch (error) {
        const isTelling = this.#clock.elapsed() - began >= TELLING_MILLISECONDS
        throw error instanceof NoAnswer && !isTelling ? new Lost(error.reason) : error
      } finally {
        cancel()
        signal.removeEventListener('abort', abort)
      }
    })
  }

  close(): void {
    this.#access.close()
    for (const connection of this.#idle.splice(0)) connection.close()
  }

  async #query(query: string, signal: AbortSignal): Promise<string> {
    const kept = this.#takeIdle()
    if (kept) {
      try {
        return await this.#exchange(kept, query, signal)
      } catch (error) {
        if (kept.hasSpoken || signal.aborted) throw error
      }
    }
    return this.#exchange(new PeerConnection(this.#address, this.#name), query, signal)
  }

  async #exchange(connection: PeerConnection, query: string, signal: AbortSignal): Promise<string> {
    try {
      connection.write(query)
      const action = actionOf(await connection.read(END_OF_ANSWER, signal))
      if (this.#idle.length < this.#mostIdle) {
        connection.rest(IDLE_MILLISECONDS)
        this.#idle.push(connection)
      } else {
        connection.close()
      }
      return action
    } catch (error) {
      connection.close()
      throw error
    }
  }

  #takeIdle(): PeerConnection | undefined {
    for (;;) {
      const connection = this.#idle.pop()
      if (!connection) return undefined
      if (connection.isUsable) {
        connection.resume()
        return connection
      }
      connection.close()
    }
  }
}

/** `request` comes first, as SMTPD_POLICY_README promises to servers. */
function queryOf(attributes: Attributes): string {
  const sent = new Map(attributes)
  const first = ['request', 'instance'].filter(name => sent.has(name))
  const names = new Set([...first, ...sent.keys()])
  const lines = [...names].map(name => `${name}=${sent.get(name)?.replaceAll('\n', ' ')}\n`)
  return `${lines.join('')}\n`
}

/** The last `action` counts; other attributes are ignored. */
function actionOf(answer: string): string {
  const text = Buffer.from(answer, 'latin1').toString('utf8')
  let action: string | undefined
  for (const line of text.split(/\r?\n/).filter(one => one !== '')) {
    const [, attribute, value] = /^([^=]+)=(.*)$/s.exec(line) ?? []
    if (attribute === undefined) throw new LookupError('the answer is not NAME=VALUE')
    if (attribute === 'action') action = value
  }
  if (action === undefined) throw new LookupError('the answer has no action')
  return action
}

function parseHost(text: string): PeerAddress {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  const isWrong = bracketed !== undefined && !isIPv6(bracketed)
  if (host === undefined || isWrong || Number(port) < 1 || Number(port) > 65_535) {
    throw new LookupError(`expected HOST:PORT, found "${withoutLogin(text)}"`)
  }
  return { host, port: Number(port) }
}
