/**
 * Would that server accept mail for this recipient? Finds out as an SMTP client that quits after
 * RCPT TO (RFC 5321; SIZE of RFC 1870, SMTPUTF8 of RFC 6531).
 *
 * Equal probes at the same time are one: otherwise two servers that verify each other's senders
 * would never end. Addresses that could inject an SMTP command are refused with a LookupError. A
 * server that is down, too slow or not an SMTP server is skipped.
 */

import { isIPv6 } from 'node:net'
import { hostname } from 'node:os'
import { PeerConnection } from '../net/peer-connection.ts'
import type { RecipientAnswer, RecipientProbe, RecipientQuestion } from '../policy/ports/peers.ts'
import { oneLine } from '../policy/verdict.ts'
import { LookupError } from '../system/errors.ts'

const MOST_PROBES = 100
/** For requests without a deadline. */
const LONGEST_MS = 60_000
/** RFC 5321, 4.5.3.1: 64 for the local part, "@", 255 for the domain. */
const MOST_ADDRESS_BYTES = 320
const MOST_TEXT_CHARACTERS = 500

/** The last line of a reply has a space, or nothing, after the code. */
const END_OF_REPLY = /(?:^|\n)\d{3}(?: [^\n]*)?\r?\n/

/**
 * Replies that say nothing about an address: the server is shutting down (421), does not know the
 * command or expects another one (RFC 5321, 4.2.3), or wants STARTTLS or a login first (RFC 3207;
 * RFC 4954, 6).
 */
const ABOUT_THE_DIALOGUE: ReadonlySet<number> = new Set([421, 500, 502, 503, 504, 530, 534, 538])

interface Reply {
  readonly code: number
  readonly lines: readonly string[]
}

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
  const name = ourName(connection.localAddress ?? '127.0.0.1')
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

async function readReply(connection: PeerConnection, signal: AbortSignal): Promise<Reply> {
  const text = await connection.read(END_OF_REPLY, signal)
  const lines = Buffer.from(text, 'latin1').toString('utf8').trimEnd().split(/\r?\n/)
  if (!lines.every(line => /^[2-5]\d\d(?:[ -]|$)/.test(line))) {
    throw new LookupError('this is not an SMTP server')
  }
  return { code: Number(lines.at(-1)?.slice(0, 3)), lines: lines.map(line => line.slice(4)) }
}

/** The keywords that EHLO announces; the first line is the server's name. */
function extensionsOf({ lines }: Reply): readonly string[] {
  return lines.slice(1).map(line => (line.split(' ', 1)[0] ?? '').toUpperCase())
}

function textOf({ lines }: Reply): string {
  return oneLine(lines.join(' ')).slice(0, MOST_TEXT_CHARACTERS).toWellFormed()
}

/** Brackets and spaces are safe inside a quoted local part; control characters never are. */
function refuseUnsafe(address: string): void {
  const bare = address.replace(/^"(?:[^"\\]|\\.)*"(?=@)/, '')
  if (
    /\p{Cc}/u.test(address) ||
    /[<>\s]/.test(bare) ||
    Buffer.byteLength(address) > MOST_ADDRESS_BYTES
  ) {
    const shown = JSON.stringify(oneLine(address).slice(0, 80))
    throw new LookupError(`the address ${shown} cannot be put into an SMTP command`)
  }
}

function isAscii(text: string): boolean {
  return !/[^\x20-\x7e]/.test(text)
}

/** A host name without a domain is often refused; RFC 5321, 4.1.4 allows the address instead. */
function ourName(address: string): string {
  const name = hostname()
  if (/^[\w-]+(?:\.[\w-]+)+$/.test(name)) return name
  return isIPv6(address) ? `[IPv6:${address}]` : `[${address}]`
}
