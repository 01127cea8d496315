/** Small servers that say what a recording says: a policy service, a mail server, a web server. */

import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { RecordedCase } from './case.ts'

export interface Stub {
  readonly port: number
  close(): Promise<void>
}

export interface PolicyStub extends Stub {
  /** How many there were. */
  readonly connections: number
}

export interface SmtpStub extends Stub {
  /** The commands it heard. */
  readonly log: readonly string[]
}

/** @param where a port of its own choice, or a unix socket. */
async function listen(
  onConnection: (socket: Socket) => void,
  where: { readonly path: string } | { readonly host: string; readonly port: number } = LOOPBACK,
): Promise<Stub> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    onConnection(socket)
  })
  server.listen(where)
  await once(server, 'listening')
  return {
    port: portOf(server.address()),
    async close() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}

const LOOPBACK = { host: '127.0.0.1', port: 0 }

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Gives the same answer to every request; null: none; CLOSE: hangs up. */
export async function policyStub(answer: string | null, path?: string): Promise<PolicyStub> {
  let connections = 0
  const stub = await listen(
    socket => {
      connections++
      let heard = ''
      socket.setEncoding('utf8').on('data', (text: string) => {
        heard += text
        const requests = heard.split('\n\n')
        heard = requests.pop() ?? ''
        if (requests.length === 0 || answer === null) return
        if (answer === 'CLOSE') socket.destroy()
        else socket.write(answer.repeat(requests.length))
      })
    },
    path === undefined ? LOOPBACK : { path },
  )
  return {
    ...stub,
    get connections() {
      return connections
    },
  }
}

/** A mail server that takes whatever `rcpt` does not say. */
export async function smtpStub({
  ehlo,
  rcpt = {},
}: NonNullable<RecordedCase['smtp']>): Promise<SmtpStub> {
  const log: string[] = []
  const stub = await listen(socket => {
    const say = (text: string): unknown => socket.write(`${text.replaceAll('\n', '\r\n')}\r\n`)
    say('220 stub ESMTP')
    const hear = (line: string): void => {
      const command = line.slice(0, 4).toUpperCase()
      log.push(command === 'EHLO' ? 'EHLO *' : line)
      if (command === 'EHLO') {
        const keywords = ['stub', ...ehlo]
        const last = keywords.length - 1
        say(keywords.map((word, at) => `250${at < last ? '-' : ' '}${word}`).join('\n'))
      } else if (command === 'RCPT') {
        say(rcpt[/<(.*)>/.exec(line)?.[1] ?? ''] ?? '250 2.1.5 Ok')
      } else if (command === 'QUIT') {
        say('221 bye')
        socket.end()
      } else {
        say('250 Ok')
      }
    }
    let heard = ''
    socket.setEncoding('latin1').on('data', (text: string) => {
      const lines = (heard + text).split('\r\n')
      heard = lines.pop() ?? ''
      lines.forEach(hear)
    })
  })
  return { ...stub, log }
}

/** Answers every request alike. */
export async function httpStub(status: number, body: string): Promise<Stub> {
  const server = createHttpServer((request, response) => {
    request.resume().once('end', () => {
      response.writeHead(status, { 'content-length': Buffer.byteLength(body) }).end(body)
    })
  })
  server.listen(LOOPBACK)
  await once(server, 'listening')
  return {
    port: portOf(server.address()),
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
