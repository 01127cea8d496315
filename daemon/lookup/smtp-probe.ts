/**
 * Would that server take mail for this recipient? As an SMTP client that leaves after RCPT TO
 * (RFC 5321; SIZE of RFC 1870, SMTPUTF8 of RFC 6531).
 *
 * Equal questions at one time are one: mail that asks about its sender, whose server asks back
 * about ours, would otherwise go on without end. Addresses that could say more than an address are
 * refused with a LookupError. A server that is not there, too slow, or no SMTP server is passed over.
 */

import { isIPv6 } from 'node:net'
import { hostname } from 'node:os'
import { LookupError } from '../policy/errors.ts'
import type { RecipientAnswer, RecipientProbe, RecipientQuestion } from '../policy/peers.ts'
import { oneLine } from '../policy/verdict.ts'
import { PeerConnection } from './peer-connection.ts'

const MOST_PROBES = 100
/** For requests without a deadline. */
const LONGEST_MS = 60_000
/** RFC 5321, 4.5.3.1: 64 for the local part, "@", 255 for the domain. */
const MOST_ADDRESS_BYTES = 320
const MOST_TEXT_CHARACTERS = 500

/** The last line of a reply has a blank, or nothing, after its code. */
const END_OF_REPLY = /(?:^|\n)\d{3}(?: [^\n]*)?\r?\n/

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

/** Undefined: it is there, but cannot be asked. */
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
  return { extensions, code: decisive.code, text: textOf(decisive) }
}

async function readReply(connection: PeerConnection, signal: AbortSignal): Promise<Reply> {
  const text = await connection.read(END_OF_REPLY, signal)
  const lines = Buffer.from(text, 'latin1').toString('utf8').trimEnd().split(/\r?\n/)
  if (!lines.every(line => /^[2-5]\d\d(?:[ -]|$)/.test(line))) {
    throw new LookupError('this is no SMTP')
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

function refuseUnsafe(address: string): void {
  if (/[\p{Cc}<>]/u.test(address) || Buffer.byteLength(address) > MOST_ADDRESS_BYTES) {
    const shown = JSON.stringify(oneLine(address).slice(0, 80))
    throw new LookupError(`the address ${shown} cannot be put into an SMTP command`)
  }
}

function isAscii(text: string): boolean {
  return !/[^\x20-\x7e]/.test(text)
}

/** A host name without a domain is often refused; RFC 5321, 4.1.4 has the address instead. */
function ourName(address: string): string {
  const name = hostname()
  if (/^[\w-]+(?:\.[\w-]+)+$/.test(name)) return name
  return isIPv6(address) ? `[IPv6:${address}]` : `[${address}]`
}
