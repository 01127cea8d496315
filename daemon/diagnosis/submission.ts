/**
 * One mail through Postfix's own submission service, as a user's mail program sends it: TLS if it is offered,
 * a login, the mail. The whole dialogue is kept, without its secrets.
 *
 * Root may pretend another client and any account by Postfix's XCLIENT, if Postfix trusts this host that far.
 * The certificate is not verified: it is of a name, and this is loopback. Nothing is sent twice.
 */

import { PeerConnection } from '../net/peer-connection.ts'
import { NoAnswer, ServerFailure, Unreachable } from '../net/server-failure.ts'
import {
  extensionsOf,
  heloName,
  isAscii,
  type Reply,
  readReply,
  refuseUnsafe,
} from '../net/smtp.ts'
import { type Door, doorText } from '../postfix/smtpd/door.ts'
import { LookupError } from '../system/errors.ts'

/** A milter, or a policy server, may take its time. */
const REPLY_MILLISECONDS = 60_000

export type Login =
  | { readonly by: 'password'; readonly user: string; readonly password: string }
  /** `client`: the address to pretend; undefined: this host's own. */
  | { readonly by: 'xclient'; readonly user: string; readonly client: string | undefined }

export interface Submission {
  readonly door: Door
  readonly login: Login
  readonly sender: string
  readonly recipient: string
  /** Header and body, lines ending with a line feed. */
  readonly message: string
  /** Called before the greeting: the client as Postfix will call it. */
  readonly begins: (client: string, port: string) => Promise<void>
  /** For one reply. */
  readonly milliseconds?: number
}

export interface Said {
  /** What was answered, without its secrets; empty for the greeting. */
  readonly command: string
  readonly code: number
  readonly text: string
}

export interface Submitted {
  /** refused: the mail, or one of its addresses. failed: it did not come to that. */
  readonly outcome: 'accepted' | 'refused' | 'failed'
  /** What failed, in words; else empty. */
  readonly problem: string
  readonly dialogue: readonly Said[]
  readonly isEncrypted: boolean
  /** This end of the connection; empty: there was none. */
  readonly localAddress: string
}

/** Why the mail could not be sent. */
class NotSent extends Error {
  override readonly name = 'NotSent'
}

/** Does not reject for what Postfix answers, or if it does not. */
export async function submit(submission: Submission): Promise<Submitted> {
  const talk = new Talk(submission)
  const done = (outcome: Submitted['outcome'], problem = ''): Submitted => {
    const { dialogue, isEncrypted, localAddress } = talk
    return { outcome, problem, dialogue, isEncrypted, localAddress }
  }
  try {
    refuseUnsafe(submission.sender)
    refuseUnsafe(submission.recipient)
    await talk.open()
    await talk.logIn()
    return done((await talk.sendMail()) ? 'accepted' : 'refused')
  } catch (error) {
    if (error instanceof NotSent) return done('failed', error.message)
    if (error instanceof LookupError) return done('failed', talk.explain(error))
    throw error
  } finally {
    talk.end()
  }
}

class Talk {
  readonly #submission: Submission
  readonly dialogue: Said[] = []
  #connection: PeerConnection
  #extensions: readonly string[] = []
  /** Mechanisms that AUTH announces. */
  #mechanisms: readonly string[] = []
  /** What is waited for. */
  #due = 'a connection'
  isEncrypted = false
  localAddress = ''

  constructor(submission: Submission) {
    const { host, port } = submission.door
    this.#submission = submission
    this.#connection = new PeerConnection({ host, port }, doorText({ host, port }))
  }

  /** Up to a connection that is as safe as the service offers. */
  async open(): Promise<void> {
    const { door, login, begins } = this.#submission
    await this.#connection.connected(this.#patience)
    const { localAddress = '', localPort = 0 } = this.#connection
    this.localAddress = localAddress
    const pretended = login.by === 'xclient' ? login.client : undefined
    await begins(pretended ?? localAddress, String(localPort))
    if (door.isWrapped) await this.#encrypt()
    const greeting = await this.#reply('')
    if (greeting.code !== 220) throw new NotSent('Postfix turned the connection away')
    await this.#greet()
    if (this.isEncrypted || !this.#extensions.includes('STARTTLS')) return
    if ((await this.#say('STARTTLS')).code !== 220) {
      throw new NotSent('Postfix announces TLS, and cannot do it: is its certificate readable?')
    }
    await this.#encrypt()
    await this.#greet()
  }

  async logIn(): Promise<void> {
    const { login } = this.#submission
    if (login.by === 'xclient') await this.#pretend(login.user, login.client)
    else await this.#authenticate(login.user, login.password)
  }

  /** False: refused, by the last reply. */
  async sendMail(): Promise<boolean> {
    const { sender, recipient, message } = this.#submission
    const isPlain = isAscii(`${sender}${recipient}`)
    const parameter = !isPlain && this.#extensions.includes('SMTPUTF8') ? ' SMTPUTF8' : ''
    if ((await this.#say(`MAIL FROM:<${sender}>${parameter}`)).code !== 250) return false
    if ((await this.#say(`RCPT TO:<${recipient}>`)).code !== 250) return false
    if ((await this.#say('DATA')).code !== 354) return false
    const lines = message.trimEnd().replaceAll(/^\./gm, '..').replaceAll('\n', '\r\n')
    return (await this.#say(`${lines}\r\n.`, 'the message')).code === 250
  }

  end(): void {
    this.#connection.end('QUIT\r\n')
  }

  /** A failure of the connection, in words. */
  explain(error: LookupError): string {
    const { service, host, port } = this.#submission.door
    if (error instanceof Unreachable) {
      return `nothing answers at ${doorText({ host, port })} (${service}): ${error.reason}`
    }
    if (error instanceof NoAnswer) return `Postfix did not answer in time: ${this.#due} was due`
    if (error instanceof ServerFailure && this.#due === 'TLS') return `TLS failed: ${error.reason}`
    if (error instanceof ServerFailure) {
      return `Postfix ended the connection when ${this.#due} was due: ${error.reason}`
    }
    return error.message
  }

  get #patience(): AbortSignal {
    return AbortSignal.timeout(this.#submission.milliseconds ?? REPLY_MILLISECONDS)
  }

  async #encrypt(): Promise<void> {
    this.#due = 'TLS'
    this.#connection = await this.#connection.encrypted(this.#patience)
    this.isEncrypted = true
  }

  async #greet(): Promise<void> {
    const name = heloName(this.localAddress)
    const hello = await this.#say(`EHLO ${name}`)
    if (hello.code !== 250) throw new NotSent('Postfix refused the greeting of this host')
    this.#extensions = extensionsOf(hello)
    const [, list = ''] = hello.lines.map(line => /^AUTH[ =](.*)$/i.exec(line)).find(Boolean) ?? []
    this.#mechanisms = list.toUpperCase().split(/\s+/).filter(Boolean)
  }

  async #authenticate(user: string, password: string): Promise<void> {
    if (this.#mechanisms.length === 0) {
      const how = this.isEncrypted ? '' : ', and no TLS, after which it might'
      throw new NotSent(`the service offers no login${how}: is SASL set up?`)
    }
    const last = await this.#tryLogin(user, password)
    if (last.code === 235) return
    if (last.code === 535) {
      throw new NotSent('the password is wrong, or SASL is not set up: Postfix refused the login')
    }
    if (last.code === 454) throw new NotSent('the service that checks passwords does not answer')
    throw new NotSent('Postfix refused the login')
  }

  async #tryLogin(user: string, password: string): Promise<Reply> {
    const base64 = (text: string): string => Buffer.from(text).toString('base64')
    if (this.#mechanisms.includes('PLAIN')) {
      const secret = base64(`\0${user}\0${password}`)
      return this.#say(`AUTH PLAIN ${secret}`, 'AUTH PLAIN ...')
    }
    if (!this.#mechanisms.includes('LOGIN')) {
      const all = this.#mechanisms.join(', ')
      throw new NotSent(`the service offers ${all} for a login; this command has PLAIN and LOGIN`)
    }
    for (const [said, shown] of [
      ['AUTH LOGIN', 'AUTH LOGIN'],
      [base64(user), 'the name'],
    ] as const) {
      const reply = await this.#say(said, shown)
      if (reply.code !== 334) return reply
    }
    return this.#say(base64(password), 'the password')
  }

  async #pretend(user: string, client: string | undefined): Promise<void> {
    if (!this.#extensions.includes('XCLIENT')) throw new NotSent(NO_XCLIENT)
    const address = client?.includes(':') ? `IPV6:${client}` : client
    const words = [
      ...(address === undefined ? [] : [`ADDR=${address}`, 'NAME=[UNAVAILABLE]']),
      `PORT=${this.#connection.localPort ?? 0}`,
      `LOGIN=${xtext(user)}`,
    ]
    if ((await this.#say(`XCLIENT ${words.join(' ')}`)).code !== 220) {
      throw new NotSent('Postfix did not take this client or account by XCLIENT')
    }
    await this.#greet()
  }

  #say(text: string, shown = text): Promise<Reply> {
    this.#connection.write(`${text}\r\n`)
    return this.#reply(shown)
  }

  async #reply(command: string): Promise<Reply> {
    const what = command.startsWith('the ') ? command : command.split(' ', 1)[0]
    this.#due = command === '' ? 'the greeting' : `the reply to ${what}`
    const reply = await readReply(this.#connection, this.#patience)
    this.dialogue.push({ command, code: reply.code, text: reply.lines.join('\n') })
    return reply
  }
}

/** What has to be set is told beside it. */
export const NO_XCLIENT = 'Postfix does not let this host say XCLIENT'

/** RFC 3461, 4: what XCLIENT takes for a value. */
function xtext(text: string): string {
  const bytes = [...Buffer.from(text)]
  return bytes
    .map(byte => {
      const character = String.fromCharCode(byte)
      if (/[!-*,-<>-~]/.test(character)) return character
      return `+${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')
}
