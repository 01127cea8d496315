/** A server of a test's own: what it says, and how badly, the test decides. */

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface PeerServer {
  /** Of 127.0.0.1. */
  readonly port: number
  /** Of its unix socket: it listens on both. */
  readonly path: string
  /** Connections so far, and those that are open now. */
  readonly connections: number
  readonly open: number
  /** All that was sent here. */
  readonly heard: string
  /** Hangs up on everybody, and goes on listening. */
  hangUp(): void
  close(): Promise<void>
}

/** @param talk called with each connection, and its number from 1. */
export async function peerServer(
  talk: (socket: Socket, number: number) => void,
): Promise<PeerServer> {
  const sockets = new Set<Socket>()
  let connections = 0
  let heard = ''
  const accept = (socket: Socket): void => {
    connections++
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    socket.on('data', data => {
      heard += data.toString('latin1')
    })
    talk(socket, connections)
  }
  // Not t.testdir(): the path of a socket may have 107 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'peer-'))
  const path = join(folder, 'socket')
  const servers = [createServer(accept), createServer(accept)] as const
  await once(servers[0].listen({ host: '127.0.0.1', port: 0 }), 'listening')
  await once(servers[1].listen({ path }), 'listening')
  const address: AddressInfo | string | null = servers[0].address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    path,
    get connections() {
      return connections
    },
    get open() {
      return sockets.size
    },
    get heard() {
      return heard
    },
    hangUp() {
      for (const socket of sockets) socket.destroy()
    },
    async close() {
      const closed = servers.filter(one => one.listening).map(one => once(one.close(), 'close'))
      for (const socket of sockets) socket.destroy()
      await Promise.all(closed)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Says `answer` as often as `question` is heard. */
export function answering(question: RegExp, answer: string | Buffer): (socket: Socket) => void {
  return socket => {
    let unread = ''
    socket.on('data', data => {
      unread += data.toString('latin1')
      for (let match = question.exec(unread); match; match = question.exec(unread)) {
        unread = unread.slice(match.index + match[0].length)
        socket.write(answer)
      }
    })
  }
}
