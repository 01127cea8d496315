/** A policy server that answers as it is told and keeps what it was asked. */

import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { freePort } from './free-port.ts'

export type Request = ReadonlyMap<string, string>
export type Action = string | ((request: Request) => string)

export interface PolicyStub {
  /** The attributes of each request, in their order. */
  readonly requests: readonly Request[]
  /** Forgets what it was asked. */
  forget(): void
  /** An action, one by the request, or nothing: then it hangs. */
  action: Action | undefined
  /** On `127.0.0.1:25`, `[::1]:25` or a path; what is called `closed` is for root only. */
  listen(where: string): Promise<void>
  /** Nobody listens any more, and connections are gone. */
  stop(): void
}

export function policyStub(action: Action): PolicyStub {
  const requests: Request[] = []
  const sockets = new Set<net.Socket>()
  const servers: net.Server[] = []
  const stub: PolicyStub = {
    requests,
    forget() {
      requests.length = 0
    },
    action,
    async listen(where) {
      if (/\/closed\//.test(where)) fs.mkdirSync(path.dirname(where), { mode: 0o700 })
      const server = net.createServer(serve)
      servers.push(server)
      const [, host = '', port] = /^\[?([^\]/]*?)\]?:(\d+)$/.exec(where) ?? []
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        if (port === undefined) server.listen(where, resolve)
        else server.listen(Number(port), host, resolve)
      })
      if (port === undefined) fs.chmodSync(where, /closed\.sock$/.test(where) ? 0o600 : 0o666)
    },
    stop() {
      for (const socket of sockets) socket.destroy()
      for (const server of servers.splice(0)) server.close()
    },
  }
  function serve(socket: net.Socket): void {
    let input = ''
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', chunk => {
      input += chunk.toString('latin1')
      for (let end = input.indexOf('\n\n'); end >= 0; end = input.indexOf('\n\n')) {
        const lines = input.slice(0, end).split('\n')
        input = input.slice(end + 2)
        const request = new Map(lines.map(line => pair(line)))
        requests.push(request)
        if (stub.action === undefined) continue
        const answer = typeof stub.action === 'string' ? stub.action : stub.action(request)
        socket.write(`action=${answer}\n\n`)
      }
    })
  }
  return stub
}

function pair(line: string): [string, string] {
  const sign = line.indexOf('=')
  return [line.slice(0, sign), line.slice(sign + 1)]
}

export interface SenderStub {
  /** Senders it was asked about at RCPT, DATA or END-OF-MESSAGE. */
  readonly asked: ReadonlySet<string>
  readonly port: number
  /** On this socket as well. */
  listenOn(socket: string): Promise<void>
  close(): void
}

const COUNTED = ['RCPT', 'DATA', 'END-OF-MESSAGE']

/** One that is asked by nobody but who is told apart by the sender. */
export async function startPolicyStub(action: string): Promise<SenderStub> {
  const stub = policyStub(action)
  const port = await freePort()
  await stub.listen(`127.0.0.1:${port}`)
  return {
    port,
    get asked() {
      const counted = stub.requests.filter(request =>
        COUNTED.includes(request.get('protocol_state') ?? ''),
      )
      return new Set(counted.map(request => request.get('sender') ?? ''))
    },
    listenOn: socket => stub.listen(socket),
    close: () => stub.stop(),
  }
}
