/**
 * A small SMTP client for tests: one command, one reply, everything that was said is kept.
 *
 * It connects from a chosen local address (127.0.0.2 is "outside" for a Postfix whose mynetworks
 * is 127.0.0.1/32), may pretend another client by XCLIENT, logs in by AUTH PLAIN and sends by DATA
 * or BDAT. A refusal is a reply like any other, never an exception; only a connection that ends
 * while a reply is due, or that stays silent for `timeoutMs`, rejects.
 *
 * It does not pipeline, retry or look anything up.
 */

import net from 'node:net'
import tls from 'node:tls'

export interface SmtpReply {
  /** The command that was answered, without its secrets; `''` for the greeting. */
  readonly command: string
  readonly code: number
  /** The text of all lines, without codes, joined by line feeds. */
  readonly text: string
}

export interface SmtpConnection {
  readonly host?: string
  readonly port: number
  readonly localAddress?: string
  /** TLS from the first byte on (port 465). The certificate is not verified. */
  readonly tls?: boolean
  /** Shown where the server requests one; PEM. */
  readonly certificate?: { readonly key: string; readonly cert: string }
  /** Sent before anything else, TLS included: a proxy's `PROXY TCP4 …` line. */
  readonly proxyLine?: string
  readonly timeoutMs?: number
}

export interface SmtpClient {
  /** Every reply so far, the greeting first. */
  readonly replies: readonly SmtpReply[]
  command(line: string, shownAs?: string): Promise<SmtpReply>
  ehlo(name?: string): Promise<SmtpReply>
  starttls(): Promise<SmtpReply>
  /** Postfix's XCLIENT: `{ ADDR: '203.0.113.77', NAME: 'host.example.net' }`; an IPv6 ADDR may be bare. */
  xclient(attributes: Readonly<Record<string, string>>): Promise<SmtpReply>
  authPlain(user: string, password: string): Promise<SmtpReply>
  mail(sender: string, parameters?: string): Promise<SmtpReply>
  rcpt(recipient: string): Promise<SmtpReply>
  /** DATA and, if Postfix says 354, the message; the last reply. */
  data(message: string): Promise<SmtpReply>
  bdat(message: string): Promise<SmtpReply>
  rset(): Promise<SmtpReply>
  /** QUIT, then the connection is gone. */
  quit(): Promise<SmtpReply>
  /** Bytes as they are; no reply is waited for. */
  write(text: string): void
  /** Hangs up without a word. */
  close(): void
}

export interface MailOptions extends SmtpConnection {
  readonly ehlo?: string
  readonly xclient?: Readonly<Record<string, string>>
  readonly user?: string
  readonly password?: string
  readonly from: string
  readonly to: string | readonly string[]
  readonly message?: string
  readonly via?: 'DATA' | 'BDAT'
}

export interface MailResult {
  /** The message was taken over by the server. */
  readonly accepted: boolean
  /** The reply that ended the message: after the message's last dot, or the refusal before it. */
  readonly last: SmtpReply
  readonly recipients: readonly SmtpReply[]
  readonly replies: readonly SmtpReply[]
}

const MESSAGE = 'Subject: test\r\n\r\nhello\r\n'

export async function connectSmtp(options: SmtpConnection): Promise<SmtpClient> {
  const timeoutMs = options.timeoutMs ?? 30_000
  const replies: SmtpReply[] = []
  let socket: net.Socket
  let input = ''
  let lines: string[] = []
  let waiting: { command: string; resolve(r: SmtpReply): void; reject(e: Error): void } | undefined
  let ended: Error | undefined

  const fail = (error: Error) => {
    ended ??= error
    waiting?.reject(ended)
    waiting = undefined
  }
  const read = (chunk: Buffer) => {
    input += chunk.toString('utf8')
    for (let end = input.indexOf('\n'); end >= 0; end = input.indexOf('\n')) {
      const line = input.slice(0, end).replace(/\r$/, '')
      input = input.slice(end + 1)
      lines.push(line.slice(4))
      if (line[3] === '-') continue
      const reply = {
        command: waiting?.command ?? '(unasked)',
        code: Number(line.slice(0, 3)),
        text: lines.join('\n'),
      }
      lines = []
      replies.push(reply)
      waiting?.resolve(reply)
      waiting = undefined
    }
  }
  const attach = (fresh: net.Socket) => {
    socket = fresh
    socket.on('data', read)
    socket.on('error', fail)
    socket.on('close', () => fail(new Error('the server closed the connection')))
    socket.setTimeout(timeoutMs, () =>
      socket.destroy(
        new Error(`no reply within ${timeoutMs} ms to ${waiting?.command ?? 'nothing'}`),
      ),
    )
  }
  const reply = (command: string) =>
    new Promise<SmtpReply>((resolve, reject) => {
      if (ended) reject(ended)
      else waiting = { command, resolve, reject }
    })
  const say = (text: string, shownAs: string) => {
    const answer = reply(shownAs)
    if (!ended) socket.write(text)
    return answer
  }

  const peer = {
    host: options.host ?? '127.0.0.1',
    port: options.port,
    ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
  }
  const secured = { rejectUnauthorized: false, ...options.certificate }
  if (options.proxyLine === undefined) {
    attach(options.tls ? tls.connect({ ...peer, ...secured }) : net.connect(peer))
  } else {
    const plain = net.connect(peer)
    plain.write(`${options.proxyLine}\r\n`)
    attach(options.tls ? tls.connect({ socket: plain, ...secured }) : plain)
  }

  const client: SmtpClient = {
    replies,
    command: (line, shownAs = line) => say(`${line}\r\n`, shownAs),
    ehlo: (name = 'client.example.net') => client.command(`EHLO ${name}`),
    async starttls() {
      const answer = await client.command('STARTTLS')
      if (answer.code !== 220) return answer
      const plain = socket
      plain.removeAllListeners()
      const secure = tls.connect({ socket: plain, ...secured })
      attach(secure)
      await new Promise<void>((resolve, reject) => {
        secure.once('secureConnect', resolve)
        secure.once('error', reject)
      })
      return answer
    },
    xclient(attributes) {
      const words = Object.entries(attributes).map(([name, value]) => {
        const v6 = name.toUpperCase() === 'ADDR' && value.includes(':') && !/^ipv6:/i.test(value)
        return `${name}=${v6 ? 'IPV6:' : ''}${value}`
      })
      return client.command(`XCLIENT ${words.join(' ')}`)
    },
    authPlain(user, password) {
      const secret = Buffer.from(`\0${user}\0${password}`).toString('base64')
      return client.command(`AUTH PLAIN ${secret}`, `AUTH PLAIN (${user})`)
    },
    mail: (sender, parameters) =>
      client.command(`MAIL FROM:<${sender}>${parameters ? ` ${parameters}` : ''}`),
    rcpt: recipient => client.command(`RCPT TO:<${recipient}>`),
    async data(message) {
      const go = await client.command('DATA')
      if (go.code !== 354) return go
      const body = crlf(message).replace(/^\./gm, '..')
      return say(`${body}.\r\n`, '(message)')
    },
    bdat(message) {
      const body = crlf(message)
      return say(`BDAT ${Buffer.byteLength(body)} LAST\r\n${body}`, 'BDAT')
    },
    rset: () => client.command('RSET'),
    write: text => void socket.write(text),
    async quit() {
      const answer = await client.command('QUIT')
      client.close()
      return answer
    },
    close() {
      ended ??= new Error('this client has hung up')
      socket.destroy()
    },
  }
  await reply('')
  return client
}

/** One connection, one message, as a mail program would send it; stops at the first refusal that ends the message. */
export async function sendMail(options: MailOptions): Promise<MailResult> {
  const client = await connectSmtp(options)
  try {
    const recipients: SmtpReply[] = []
    const last = await converse(client, options, recipients)
    const accepted = last.code === 250 && /^(BDAT|\(message\))$/.test(last.command)
    // A server that said 421 has hung up already; its reply is what counts.
    if (last.code !== 421) await client.quit()
    return { accepted, last, recipients, replies: client.replies }
  } finally {
    client.close()
  }
}

async function converse(
  client: SmtpClient,
  options: MailOptions,
  recipients: SmtpReply[],
): Promise<SmtpReply> {
  let last = await client.ehlo(options.ehlo)
  if (last.code >= 400) return last
  if (options.xclient) {
    last = await client.xclient(options.xclient)
    if (last.code >= 400) return last
    await client.ehlo(options.ehlo)
  }
  if (options.user !== undefined) {
    last = await client.authPlain(options.user, options.password ?? '')
    if (last.code >= 400) return last
  }
  last = await client.mail(options.from)
  if (last.code >= 400) return last
  for (const recipient of typeof options.to === 'string' ? [options.to] : options.to) {
    last = await client.rcpt(recipient)
    recipients.push(last)
    if (last.code === 421) return last
  }
  if (!recipients.some(r => r.code < 400)) return last
  const message = options.message ?? MESSAGE
  return options.via === 'BDAT' ? client.bdat(message) : client.data(message)
}

function crlf(message: string): string {
  const lines = message.replace(/\r?\n/g, '\r\n')
  return lines.endsWith('\r\n') ? lines : `${lines}\r\n`
}
