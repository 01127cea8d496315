/**
 * Another policy service, asked as Postfix asks (SMTPD_POLICY_README, attr_scan(3)).
 *
 * Without keepalive each question has a connection of its own. With it a few are kept; one that the
 * service has closed meanwhile is replaced once. A service that asks us back would make us ask
 * without end: beyond so many open questions the next one fails.
 */

import { isIPv6 } from 'node:net'
import { LookupError, withoutLogin } from '../policy/errors.ts'
import type { PolicyService } from '../policy/peers.ts'
import type { Attributes } from '../policy/request.ts'
import { type PeerAddress, PeerConnection } from './peer-connection.ts'

export interface ClosablePolicyService extends PolicyService {
  close(): void
}

/** At most so many questions at a time; Postfix's smtpd has 100 processes unless configured. */
const MOST_QUESTIONS = 500
const MOST_IDLE = 16
const IDLE_MS = 30_000
/** For requests without a deadline. */
const LONGEST_MS = 60_000

const END_OF_ANSWER = /(?:^|\n)\r?\n/

/** Throws LookupError if `host` is not HOST:PORT. */
export function policyService(
  endpoint: { readonly host: string } | { readonly socket: string },
  keepalive: boolean,
): ClosablePolicyService {
  const name = 'host' in endpoint ? endpoint.host : endpoint.socket
  const address = 'host' in endpoint ? parseHost(endpoint.host) : { path: endpoint.socket }
  const idle: PeerConnection[] = []
  let questions = 0

  async function exchange(
    connection: PeerConnection,
    question: string,
    signal: AbortSignal,
  ): Promise<string> {
    try {
      connection.write(question)
      const action = actionOf(await connection.read(END_OF_ANSWER, signal), name)
      if (keepalive && idle.length < MOST_IDLE) {
        connection.rest(IDLE_MS)
        idle.push(connection)
      } else {
        connection.close()
      }
      return action
    } catch (error) {
      connection.close()
      throw error
    }
  }

  function takeIdle(): PeerConnection | undefined {
    for (;;) {
      const connection = idle.pop()
      if (!connection) return undefined
      if (connection.isUsable) {
        connection.resume()
        return connection
      }
      connection.close()
    }
  }

  return {
    async ask(attributes, signal) {
      if (questions >= MOST_QUESTIONS) {
        throw new LookupError(`${name}: ${MOST_QUESTIONS} questions are waiting already`)
      }
      questions++
      try {
        const question = questionOf(attributes)
        const limit = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)])
        const kept = takeIdle()
        if (kept) {
          try {
            return await exchange(kept, question, limit)
          } catch (error) {
            if (kept.hasSpoken || limit.aborted) throw error
          }
        }
        return await exchange(new PeerConnection(address, name), question, limit)
      } finally {
        questions--
      }
    },
    close() {
      for (const connection of idle.splice(0)) connection.close()
    },
  }
}

/** `request` leads, as SMTPD_POLICY_README promises to servers. */
function questionOf(attributes: Attributes): string {
  const sent = new Map(attributes)
  const first = ['request', 'instance'].filter(name => sent.has(name))
  const names = new Set([...first, ...sent.keys()])
  const lines = [...names].map(name => `${name}=${sent.get(name)?.replaceAll('\n', ' ')}\n`)
  return `${lines.join('')}\n`
}

/** The last `action` counts; other attributes are none of ours. */
function actionOf(answer: string, name: string): string {
  const text = Buffer.from(answer, 'latin1').toString('utf8')
  let action: string | undefined
  for (const line of text.split(/\r?\n/).filter(one => one !== '')) {
    const [, attribute, value] = /^([^=]+)=(.*)$/s.exec(line) ?? []
    if (attribute === undefined) throw new LookupError(`${name}: the answer is not NAME=VALUE`)
    if (attribute === 'action') action = value
  }
  if (action === undefined) throw new LookupError(`${name}: the answer has no action`)
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
