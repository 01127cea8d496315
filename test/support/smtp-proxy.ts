/**
 * A filter before the queue, for `smtpd_proxy_filter`: it swallows a message, or refuses it, at its end.
 *
 *   const proxy = await startSmtpProxy()          // what the Subject says: 550 5.7.1 Spam; else 250
 *   rig.set(`smtpd_proxy_filter = ${proxy.address}`)
 *   await proxy.close()
 */

import net from 'node:net'

export interface SmtpProxy {
  readonly address: string
  close(): Promise<void>
}

export async function startSmtpProxy(): Promise<SmtpProxy> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    converse(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    address: `127.0.0.1:${port}`,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function converse(socket: net.Socket): void {
  let input = ''
  /** The message so far; undefined: it is a command's turn. */
  let message: string[] | undefined
  socket.write('220 filter ESMTP\r\n')
  socket.on('data', chunk => {
    const lines = `${input}${chunk}`.split('\r\n')
    input = lines.pop() ?? ''
    for (const line of lines) {
      if (message !== undefined && line !== '.') message.push(line)
      else {
        socket.write(`${message ? answerTo(message) : replyTo(line)}\r\n`)
        message = !message && /^DATA/i.test(line) ? [] : undefined
      }
    }
  })
}

function replyTo(command: string): string {
  if (/^DATA/i.test(command)) return '354 go ahead'
  return /^QUIT/i.test(command) ? '221 bye' : '250 ok'
}

function answerTo(message: readonly string[]): string {
  const subject = message.find(line => /^subject: [45]\d\d /i.test(line))
  return subject?.slice('subject: '.length) ?? '250 2.0.0 swallowed'
}
