/**
 * Would that server accept mail for this recipient? Finds out as an SMTP client that quits after
 * RCPT TO (RFC 5321; SIZE of RFC 1870, SMTPUTF8 of RFC 6531).
 *
 * Equal probes at the same time are one: otherwise two servers that verify each other's senders
 * would never end. Addresses that could inject an SMTP command are refused with a LookupError. A
 * server that is down, too slow or not an SMTP server is skipped.
 */

import { PeerConnection } from '../net/peer-connection.ts'
import {
  extensionsOf,
  heloName,
  isAscii,
  type Reply,
  readReply,
  refuseUnsafe,
} from '../net/smtp.ts'
import type { RecipientAnswer, RecipientProbe, RecipientQuestion } from '../policy/ports/peers.ts'
import { oneLine } from '../policy/verdict.ts'
import { LookupError } from '../system/errors.ts'

const MOST_PROBES = 100
/** For requests without a deadline. */
const LONGEST_MS = 60_000
const MOST_TEXT_CHARACTERS = 500

/**
 * Replies that say nothing about an address: the server is shutting down (421), does not know the
 * command or expects another one (RFC 5321, 4.2.3), or wants STARTTLS or a login first (RFC 3207;
 * RFC 4954, 6).
 */
const ABOUT_THE_DIALOGUE: ReadonlySet<number> = new Set([421, 500, 502, 503, 504, 530, 534, 538])

export function recipientProbe(): RecipientProbe {
  const running = new Map<string, Promise<RecipientAnswer | undefined>>()

  return async (question, signal) => {
    refuseUnsafe(question.sender)
    refuseUnsafe(question.recipient)
    const key = JSON.stringify(question)
    const same = running.get(key)
    if (same) return same
    if (running.size >= MOST_PROBES) throw new LookupError(`${MOST_PROBES} probes are running`)
    const probe = probeAll(question, signal).finally(() => running.delete(key))
    running.set(key, probe)
    return probe
  }
}

async function probeAll(
  question: RecipientQuestion,
  signal: AbortSignal,
): Promise<RecipientAnswer | undefined> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)])
  for (const host of question.hosts) {
    try {
      const answer = await probeOne(host, question, limit)
      if (answer) return answer
    } catch (error) {
      if (!(error instanceof LookupError)) throw error
    }
  }
  return undefined
}

async function probeOne(
  host: string,
  question: RecipientQuestion,
  signal: AbortSignal,
): Promise<RecipientAnswer | undefined> {
  const connection = new PeerConnection({ host, port: question.port }, host)
  try {
    return await converse(connection, question, signal)
  } finally {
    connection.end('QUIT\r\n')
  }
}

/** Undefined if the server is there but refuses to talk. */
async function converse(
  connection: PeerConnection,
  { sender, recipient, size }: RecipientQuestion,
  signal: AbortSignal,
): Promise<RecipientAnswer | undefined> {
  function say(command: string): Promise<Reply> {
    connection.write(`${command}\r\n`)
    return readReply(connection, signal)
  }
  const greeting = await readReply(connection, signal)
  if (greeting.code !== 220) return undefined
  const name = heloName(connection.localAddress ?? '127.0.0.1')
  const hello = await say(`EHLO ${name}`)
  if (hello.code !== 250 && (await say(`HELO ${name}`)).code !== 250) return undefined
  const extensions = hello.code === 250 ? extensionsOf(hello) : []

  let parameters = ''
  if (size !== undefined && extensions.includes('SIZE')) parameters += ` SIZE=${size}`
  if (!isAscii(sender + recipient)) {
    if (!extensions.includes('SMTPUTF8')) return undefined
    parameters += ' SMTPUTF8'
  }
  let decisive = await say(`MAIL FROM:<${sender}>${parameters}`)
  if (decisive.code < 400) decisive = await say(`RCPT TO:<${recipient}>`)
  if (ABOUT_THE_DIALOGUE.has(decisive.code)) return undefined
  return { extensions, code: decisive.code, text: textOf(decisive) }
}

function textOf({ lines }: Reply): string {
  return oneLine(lines.join(' ')).slice(0, MOST_TEXT_CHARACTERS).toWellFormed()
}
