/**
 * The listening sockets and the connections that came in through them.
 *
 * `listen` may be called again with other endpoints: those that stay are not touched, new ones are
 * bound before old ones are closed, and open connections live on.
 */

import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Connection } from '../policy/request.ts'
import { type Conversation, type OpenConnection, serveConnection } from './connection.ts'
import { type Endpoint, endpointKey, formatEndpoint } from './endpoint.ts'

export interface PolicyServer {
  /** Binds what is new, closes what is gone. Rejects, with nothing changed, if an endpoint cannot be bound. */
  listen(endpoints: readonly Endpoint[]): Promise<void>
  readonly endpoints: readonly Endpoint[]
  readonly connections: number
  /** Stops listening and ends once every connection has got its answers, at the latest after `milliseconds`. */
  stop(milliseconds: number): Promise<void>
}

export interface ServerOptions {
  readonly conversation: () => Conversation
  /** May this address connect? */
  admits(address: string): boolean
  opened(connection: Connection, peer: string): void
  refused(peer: string): void
}

const BACKLOG = 4096

export function makeServer(options: ServerOptions): PolicyServer {
  const servers = new Map<string, { endpoint: Endpoint; server: Server }>()
  const open = new Map<number, OpenConnection>()
  let nextId = 1

  function accept(socket: Socket, endpoint: Endpoint): void {
    const peer = socket.remoteAddress ?? 'unix'
    if (endpoint.kind === 'tcp' && !options.admits(peer)) {
      options.refused(peer)
      socket.destroy()
      return
    }
    const connection: Connection = { id: nextId++, endpoint: endpointKey(endpoint) }
    const conversation = options.conversation()
    options.opened(connection, peer)
    const served = serveConnection(socket, connection, {
      ...conversation,
      closed(gone, reason) {
        open.delete(gone.id)
        conversation.closed(gone, reason)
      },
    })
    open.set(connection.id, served)
  }

  async function bind(endpoint: Endpoint): Promise<Server> {
    const server = createServer({ noDelay: true, allowHalfOpen: true }, socket =>
      accept(socket, endpoint),
    )
    if (endpoint.kind === 'unix') await clearStaleSocket(endpoint.path)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      const ready = (): void => {
        server.off('error', reject)
        resolve()
      }
      if (endpoint.kind === 'unix') {
        server.listen({ path: endpoint.path, backlog: BACKLOG }, ready)
      } else {
        server.listen(
          { host: endpoint.host, port: endpoint.port, backlog: BACKLOG, ipv6Only: true },
          ready,
        )
      }
    })
    // Anybody who may reach the socket's directory may ask, as over TCP.
    if (endpoint.kind === 'unix') chmodSync(endpoint.path, 0o666)
    server.on('error', () => undefined)
    return server
  }

  return {
    async listen(endpoints) {
      const wanted = new Map(endpoints.map(endpoint => [formatEndpoint(endpoint), endpoint]))
      const bound: [string, { endpoint: Endpoint; server: Server }][] = []
      try {
        for (const [name, endpoint] of wanted) {
          if (!servers.has(name)) bound.push([name, { endpoint, server: await bind(endpoint) }])
        }
      } catch (error) {
        for (const [, { server }] of bound) server.close()
        throw error
      }
      for (const [name, { server }] of servers) {
        if (wanted.has(name)) continue
        server.close()
        servers.delete(name)
      }
      for (const [name, entry] of bound) servers.set(name, entry)
    },

    get endpoints() {
      return [...servers.values()].map(({ endpoint }) => endpoint)
    },

    get connections() {
      return open.size
    },

    async stop(milliseconds) {
      for (const { server } of servers.values()) server.close()
      for (const connection of open.values()) connection.finish()
      const deadline = Date.now() + milliseconds
      while (open.size > 0 && Date.now() < deadline) {
        await new Promise(resolve => setTimeout(resolve, 5))
      }
      for (const connection of open.values()) connection.destroy()
    },
  }
}

/** Removes the socket of a daemon that is gone. A living one answers, and keeps its socket. */
async function clearStaleSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (!stat?.isSocket()) return
  const isAlive = await new Promise<boolean>(resolve => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    // Refused means that nobody listens; a full backlog or a forbidden socket is somebody's.
    probe.once('error', error => resolve(!('code' in error && error.code === 'ECONNREFUSED')))
  })
  if (!isAlive) unlinkSync(path)
}
