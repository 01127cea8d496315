/**
 * A mail filter as Postfix asks it (the milter protocol, version 6), in this process:
 *
 *   const milter = await startMilter()                 // does what the Subject says, at END-OF-MESSAGE
 *   rig.set(`smtpd_milters = ${milter.address}`)       // Subject: reject | tempfail | discard | quarantine | 550 5.7.1 Spam
 *   await milter.close()
 *
 *   await startMilter((message, stage) => (stage === 'rcpt' ? 'tempfail' : 'continue'))
 *
 * It changes no message; `close` ends its connections, as a filter does that crashes.
 */

import net from 'node:net'

export type MilterStage =
  | 'connect'
  | 'helo'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'header'
  | 'end of headers'
  | 'body'
  | 'end of message'
  | 'unknown'

/** `quarantine` is Postfix's HOLD, at the end of the message only. A reply is `450 4.7.1 text`: class 4 or 5. */
export type MilterAnswer =
  | 'continue'
  | 'accept'
  | 'reject'
  | 'tempfail'
  | 'discard'
  | 'quarantine'
  | `${4 | 5}${number} ${string}`

/** What the filter has been told up to now. */
export interface MilterMessage {
  /** Empty for a client without an address. */
  readonly client: string
  readonly helo: string
  /** Without angle brackets; empty for the null sender. */
  readonly from: string
  readonly to: readonly string[]
  /** Names in lower case; the last one of a name. */
  readonly headers: Readonly<Record<string, string>>
  /** Empty until Postfix tells it: at DATA, or with the second recipient. */
  readonly queueId: string
  readonly bytes: number
}

export type Decide = (
  message: MilterMessage,
  stage: MilterStage,
) => MilterAnswer | Promise<MilterAnswer>

export interface Milter {
  readonly port: number
  /** For `smtpd_milters`. */
  readonly address: string
  /** What was answered to each message that came to its end, in order. */
  readonly answers: readonly { readonly message: MilterMessage; readonly answer: MilterAnswer }[]
  close(): Promise<void>
}

/** Does what the Subject says, once the message is complete. */
export const bySubject: Decide = ({ headers }, stage) =>
  stage === 'end of message' ? (asAnswer(headers.subject?.trim() ?? '') ?? 'accept') : 'continue'

/** Does what the sender's local part says: `reject@example.org`. */
export const bySender: Decide = ({ from }, stage) =>
  stage === 'end of message' ? (asAnswer(from.split('@')[0] ?? '') ?? 'accept') : 'continue'

export async function startMilter(decide: Decide = bySubject): Promise<Milter> {
  const answers: { message: MilterMessage; answer: MilterAnswer }[] = []
  const sockets = new Set<net.Socket>()
  const server = net.createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    void converse(socket, decide, (message, answer) => answers.push({ message, answer }))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    port,
    address: `inet:127.0.0.1:${port}`,
    answers,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

const STAGES: Readonly<Record<string, MilterStage>> = {
  C: 'connect',
  H: 'helo',
  M: 'mail',
  R: 'rcpt',
  T: 'data',
  L: 'header',
  N: 'end of headers',
  B: 'body',
  E: 'end of message',
  U: 'unknown',
}
const VERSION = 6
/** SMFIF_QUARANTINE: the only thing beside a verdict that it does. */
const MAY_QUARANTINE = 0x20
const CODES = { continue: 'c', accept: 'a', reject: 'r', tempfail: 't', discard: 'd' } as const

type Told = { -readonly [Name in keyof MilterMessage]: MilterMessage[Name] }

function nothing(): Told {
  return { client: '', helo: '', from: '', to: [], headers: {}, queueId: '', bytes: 0 }
}

async function converse(
  socket: net.Socket,
  decide: Decide,
  ended: (message: MilterMessage, answer: MilterAnswer) => void,
): Promise<void> {
  let told = nothing()
  try {
    for await (const packet of packets(socket)) {
      const command = String.fromCharCode(packet[0] ?? 0)
      const data = packet.subarray(1)
      const stage = STAGES[command]
      if (command === 'O') negotiate(socket)
      else if (command === 'D') hearMacros(told, data)
      else if (command === 'A') told = { ...nothing(), client: told.client, helo: told.helo }
      else if (command === 'K') told = nothing()
      else if (command === 'Q') break
      else if (stage !== undefined) {
        if (stage === 'mail') told = { ...nothing(), client: told.client, helo: told.helo }
        hear(told, stage, data)
        const message = { ...told, to: [...told.to], headers: { ...told.headers } }
        const answer = await decide(message, stage)
        reply(socket, answer)
        if (stage === 'end of message') ended(message, answer)
      }
    }
  } catch {
    // Postfix has gone, or this filter is being closed.
  }
  socket.destroy()
}

/** A length of four bytes, and so many bytes. */
async function* packets(socket: net.Socket): AsyncGenerator<Buffer> {
  let input = Buffer.alloc(0)
  for await (const chunk of socket) {
    input = Buffer.concat([input, chunk])
    while (input.length >= 4) {
      const end = 4 + input.readUInt32BE(0)
      if (input.length < end) break
      yield input.subarray(4, end)
      input = input.subarray(end)
    }
  }
}

function send(socket: net.Socket, code: string, data: Uint8Array = new Uint8Array()): void {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(1 + data.length, 0)
  head.write(code, 4, 'latin1')
  socket.write(Buffer.concat([head, data]))
}

function negotiate(socket: net.Socket): void {
  const options = Buffer.alloc(12)
  options.writeUInt32BE(VERSION, 0)
  options.writeUInt32BE(MAY_QUARANTINE, 4)
  // Nothing is left out: it wants to hear, and answers, every command.
  options.writeUInt32BE(0, 8)
  send(socket, 'O', options)
}

function reply(socket: net.Socket, answer: MilterAnswer): void {
  if (answer === 'quarantine') {
    send(socket, 'q', Buffer.from('held by the filter\0'))
    send(socket, 'a')
  } else if (isPlain(answer)) send(socket, CODES[answer])
  else send(socket, 'y', Buffer.from(`${answer}\0`))
}

function isPlain(answer: string): answer is keyof typeof CODES {
  return Object.hasOwn(CODES, answer)
}

function asAnswer(text: string): MilterAnswer | undefined {
  if (text === 'quarantine' || isPlain(text)) return text
  // Checked, so the assertion says no more than the pattern.
  return /^[45]\d\d ./.test(text) ? (text as MilterAnswer) : undefined
}

function hear(told: Told, stage: MilterStage, data: Buffer): void {
  const [first = '', second = ''] = textsOf(data)
  const address = first.replace(/^<|>$/g, '')
  if (stage === 'connect') {
    // The name, a letter for the family, a port of two bytes, the address.
    const at = data.indexOf(0) + 1
    const [shown = ''] = textsOf(data.subarray(at + 3))
    told.client = String.fromCharCode(data[at] ?? 0) === 'U' ? '' : shown
  } else if (stage === 'helo') told.helo = first
  else if (stage === 'mail') told.from = address
  else if (stage === 'rcpt') told.to = [...told.to, address]
  else if (stage === 'header') told.headers = { ...told.headers, [first.toLowerCase()]: second }
  else if (stage === 'body' || stage === 'end of message') told.bytes += data.length
}

/** The command they are for, then names and values. */
function hearMacros(told: Told, data: Buffer): void {
  const texts = textsOf(data.subarray(1))
  const at = texts.indexOf('i')
  if (at >= 0 && at % 2 === 0) told.queueId = texts[at + 1] ?? ''
}

function textsOf(data: Buffer): string[] {
  return data.toString('utf8').split('\0')
}
