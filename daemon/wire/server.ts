/**
 * The listening sockets and the connections that came in through them.
 *
 * `listen` may be called again with other endpoints: those that stay are not touched, new ones are
 * bound before old ones are closed, and open connections live on. Sockets that the service manager
 * opened are used where their bound address is one of the endpoints; they outlive this process, so
 * that nobody is refused while it is replaced.
 */

import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Connection } from '../policy/request.ts'
import { type Commons, type Conversation, OpenConnection } from './connection.ts'
import { bindingName, type Endpoint, endpointKey, formatEndpoint } from './endpoint.ts'
import { boundAddress } from './inherited-socket.ts'

export interface PolicyServer {
  /** Binds what is new, closes what is gone. Rejects, with nothing changed, if an endpoint cannot be bound. */
  listen(endpoints: readonly Endpoint[]): Promise<void>
  readonly endpoints: readonly Endpoint[]
  readonly connections: number
  /**
   * Answers what has been asked, then accepts nobody any more and closes all connections; at the
   * latest after `milliseconds`.
   */
  stop(milliseconds: number): Promise<void>
}

export interface ServerOptions {
  readonly conversation: Conversation
  /** May this address connect? */
  admits(address: string): boolean
  opened(connection: Connection, peer: string): void
  refused(peer: string): void
  /** Listening sockets that were open when the process began. */
  readonly inherited?: readonly number[]
  /** For the log: a listener that is not as configured. */
  note?(message: string): void
}

/** Half-closed: who asks and closes still gets an answer. Paused until it is moved (direct-socket.ts). */
const serverOptions = { noDelay: true, allowHalfOpen: true, pauseOnConnect: true }

interface Listener {
  readonly endpoint: Endpoint
  readonly server: Server
}

const BACKLOG = 4096
/** Of requests that are not read yet, in all. Postfix's come whole, and are read at once. */
const MOST_HELD_BYTES = 64 * 1024 * 1024
const TOO_MUCH = `requests of more than ${MOST_HELD_BYTES} bytes in all have begun and not ended`
/** How long a stop waits for the first request of those who have just connected. */
const FIRST_REQUEST_MILLISECONDS = 100

export function makeServer(options: ServerOptions): PolicyServer {
  const servers = new Map<string, Listener>()
  const inherited = [...(options.inherited ?? [])]
  const note = (message: string): void => options.note?.(message)
  const open = new Map<number, OpenConnection>()
  let nextId = 1
  let heldBytes = 0
  /** Of connections that have much to ask. */
  const waiting: (() => void)[] = []
  let isDue = false

  function goOn(): void {
    if (isDue || waiting.length === 0) return
    isDue = true
    setImmediate(() => {
      isDue = false
      waiting.shift()?.()
      goOn()
    })
  }

  const commons: Commons = {
    /** Whoever holds most goes first: ten thousand unfinished requests of a megabyte are too many. */
    noteHeld(more) {
      heldBytes += more
      while (more > 0 && heldBytes > MOST_HELD_BYTES) {
        const all = [...open.values()]
        all.reduce((most, one) => (one.heldBytes > most.heldBytes ? one : most)).drop(TOO_MUCH)
      }
    },
    later(work) {
      // libuv accepts one connection in each turn of the event loop: no turn may be long.
      waiting.push(work)
      goOn()
    },
  }

  function accept(socket: Socket, endpoint: Endpoint): void {
    const peer = socket.remoteAddress ?? 'unix'
    if (endpoint.kind === 'tcp' && !options.admits(peer)) {
      options.refused(peer)
      socket.destroy()
      return
    }
    const connection: Connection = { id: nextId++, endpoint: endpointKey(endpoint) }
    options.opened(connection, peer)
    const forget = (): void => void open.delete(connection.id)
    open.set(
      connection.id,
      new OpenConnection(socket, connection, options.conversation, commons, forget),
    )
  }

  /** A listener that fails once it listens is no reason to end: its connections live on. */
  function watch(server: Server): void {
    server.on('error', error => note(`a listener has failed: ${describe(error)}`))
  }

  async function bind(endpoint: Endpoint): Promise<Server> {
    const server = createServer(serverOptions, socket => accept(socket, endpoint))
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
    watch(server)
    return server
  }

  /** Listens on a socket that is there already, if it is one of those we want. */
  async function adopt(fd: number, wanted: ReadonlyMap<string, Endpoint>): Promise<void> {
    let endpoint: Endpoint | undefined
    const server = createServer(serverOptions, socket => {
      if (endpoint) accept(socket, endpoint)
      else socket.destroy()
    })
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen({ fd, backlog: BACKLOG }, () => resolve())
      })
    } catch (error) {
      note(`descriptor ${fd} was handed over and is no listening socket: ${describe(error)}`)
      return
    }
    watch(server)
    const name = boundAddress(server, fd)
    endpoint = wanted.get(name)
    if (endpoint) {
      servers.set(name, { endpoint, server })
      return
    }
    server.close()
    note(`${name} was handed over and is not in the configuration: not used`)
  }

  /** Undefined: this host has no such address and can do without. */
  async function bindIfThere(
    endpoint: Endpoint,
    wanted: ReadonlyMap<string, Endpoint>,
  ): Promise<Server | undefined> {
    try {
      return await bind(endpoint)
    } catch (error) {
      // Where IPv6 is switched off, "localhost" is 127.0.0.1 alone.
      const isAbsent =
        error instanceof Error &&
        'code' in error &&
        (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT')
      if (!isAbsent || endpoint.kind !== 'tcp' || endpoint.host !== '::1') throw error
      if (!wanted.has(bindingName({ ...endpoint, host: '127.0.0.1' }))) throw error
      note(`this host has no IPv6: not listening on ${formatEndpoint(endpoint)}`)
      return undefined
    }
  }

  return {
    async listen(endpoints) {
      const wanted = new Map(endpoints.map(endpoint => [bindingName(endpoint), endpoint]))
      for (const fd of inherited.splice(0)) await adopt(fd, wanted)
      const bound: [string, Listener][] = []
      try {
        for (const [name, endpoint] of wanted) {
          if (servers.has(name)) continue
          const server = await bindIfThere(endpoint, wanted)
          if (server) bound.push([name, { endpoint, server }])
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
      const deadline = Date.now() + milliseconds
      const firstRequestsUntil = Date.now() + FIRST_REQUEST_MILLISECONDS
      const isDue = (): boolean => Date.now() >= deadline
      // A closed connection costs Postfix a second, and who connects now waits for the next daemon:
      // until what is under way is answered, all goes on as ever. At least one turn reads what has
      // arrived.
      let underWay = [...open.values()]
      do {
        await new Promise(resolve => setTimeout(resolve, 5))
        underWay = underWay.filter(
          one => one.isBusy || (one.isNew && Date.now() < firstRequestsUntil),
        )
      } while (underWay.length > 0 && !isDue())
      for (const { server } of servers.values()) server.close()
      for (const connection of open.values()) connection.finish()
      while (open.size > 0 && !isDue()) await new Promise(resolve => setTimeout(resolve, 5))
      for (const connection of open.values()) connection.destroy()
    },
  }
}

const describe = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

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
