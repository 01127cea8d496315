/**
 * The listening sockets of a server.
 *
 * `listen` may be called again with other endpoints: those that stay are not touched, new ones are
 * bound before old ones are closed, and connections stay open. Only an address and the wildcard of the
 * same port exclude each other: there the old one is closed first, and bound again if the new one fails.
 * Sockets that the service manager opened are used where their bound address is one of the endpoints;
 * they outlive this process, so that no client is refused while it is replaced. Those that are not wanted
 * stay open nevertheless and close each connection at once: the service manager keeps listening, so a
 * client would wait for nothing.
 */

import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { bindingName, type Endpoint, formatEndpoint } from '../net/endpoint.ts'
import {
  anotherPort,
  describeOwner,
  excludes,
  listenersInTheWay,
  ownerOf,
  type TcpEndpoint,
} from '../net/listeners.ts'
import { describeError } from '../system/errors.ts'
import { boundAddress } from './inherited-socket.ts'

export interface ListenersOptions {
  /** A client has connected at this endpoint. */
  accept(socket: Socket, endpoint: Endpoint): void
  /** Listening sockets that were open when the process began. */
  readonly inherited: readonly number[]
  /** Throws if this endpoint is not to be bound, free or not. */
  mayBind(endpoint: TcpEndpoint): void
  /** For the log: a listener that is not as configured. */
  note(message: string): void
}

interface Listener {
  readonly endpoint: Endpoint
  readonly server: Server
  /** The service manager has it open as well: closing ours does not end it. */
  readonly inherited?: Inherited
}

interface Inherited {
  readonly server: Server
  /** Undefined: it is not in the configuration. */
  endpoint: Endpoint | undefined
}

/** What is to be listened on, by binding name. */
type Wanted = ReadonlyMap<string, Endpoint>

/** The port is in use by another program. */
export class PortTaken extends Error {
  override readonly name = 'PortTaken'
  readonly code = 'EADDRINUSE'
  readonly endpoint: TcpEndpoint
  constructor(endpoint: TcpEndpoint, why: string) {
    super(`${formatEndpoint(endpoint)} ${why}${anotherPort(endpoint.port)}`)
    this.endpoint = endpoint
  }
}

/** Half-closed: a client that sends and closes still gets its answer. Paused until moved (direct-socket.ts). */
const SOCKETS = { noDelay: true, allowHalfOpen: true, pauseOnConnect: true }
const BACKLOG = 4096
/** Stands in the socket unit where no unix socket is wanted: systemd needs a name to listen on. */
const PLACEHOLDER = '@univention-mtpolicyd|unix'

export class Listeners {
  readonly #options: ListenersOptions
  /** In use, by binding name. */
  readonly #bound = new Map<string, Listener>()
  /** Inherited, and not wanted at present. */
  readonly #unused = new Map<string, Inherited>()
  /** Descriptors that have not been looked at yet. */
  #inherited: readonly number[]

  constructor(options: ListenersOptions) {
    this.#options = options
    this.#inherited = options.inherited
  }

  get endpoints(): readonly Endpoint[] {
    return [...this.#bound.values()].map(({ endpoint }) => endpoint)
  }

  /** Binds what is new, closes what is gone. Rejects, with nothing changed, if an endpoint cannot be bound. */
  async listen(endpoints: readonly Endpoint[]): Promise<void> {
    const wanted = new Map(endpoints.map(endpoint => [bindingName(endpoint), endpoint]))
    const inherited = this.#inherited
    this.#inherited = []
    for (const fd of inherited) await this.#adopt(fd, wanted)
    const fresh = await this.#bindMissing(wanted)
    for (const name of this.#bound.keys()) {
      if (!wanted.has(name)) this.#close(name)
    }
    for (const [name, endpoint] of wanted) this.#useInherited(name, endpoint)
    for (const [name, listener] of fresh) this.#bound.set(name, listener)
  }

  /** Accepts no connection any more. */
  close(): void {
    for (const { server } of [...this.#bound.values(), ...this.#unused.values()]) server.close()
  }

  /** New listeners, not in use yet. Rejects with everything as before. */
  async #bindMissing(wanted: Wanted): Promise<readonly (readonly [string, Listener])[]> {
    const fresh: [string, Listener][] = []
    const closed: [string, Listener][] = []
    try {
      for (const [name, endpoint] of wanted) {
        if (this.#bound.has(name) || this.#unused.has(name)) continue
        for (const old of this.#inTheWay(endpoint, wanted)) {
          const listener = this.#close(old)
          if (listener) closed.push([old, listener])
        }
        const server = await this.#bindIfThere(endpoint, wanted)
        if (server) fresh.push([name, { endpoint, server }])
      }
      return fresh
    } catch (error) {
      for (const [, { server }] of fresh) server.close()
      for (const [name, listener] of closed) await this.#restore(name, listener)
      throw error
    }
  }

  #useInherited(name: string, endpoint: Endpoint): void {
    const inherited = this.#unused.get(name)
    if (!inherited) return
    this.#unused.delete(name)
    inherited.endpoint = endpoint
    this.#bound.set(name, { endpoint, server: inherited.server, inherited })
  }

  async #bind(endpoint: Endpoint): Promise<Server> {
    if (endpoint.kind === 'tcp') this.#options.mayBind(endpoint)
    const server = createServer(SOCKETS, socket => this.#options.accept(socket, endpoint))
    if (endpoint.kind === 'unix') await clearStaleSocket(endpoint.path)
    await new Promise<void>((resolve, reject) => {
      const fail = (error: Error): void => {
        const isTaken = 'code' in error && error.code === 'EADDRINUSE' && endpoint.kind === 'tcp'
        reject(isTaken ? new PortTaken(endpoint, `is in use by ${occupantOf(endpoint)}`) : error)
      }
      server.once('error', fail)
      const ready = (): void => {
        server.off('error', fail)
        resolve()
      }
      if (endpoint.kind === 'unix') server.listen({ path: endpoint.path, backlog: BACKLOG }, ready)
      else {
        const { host, port } = endpoint
        server.listen({ host, port, backlog: BACKLOG, ipv6Only: true }, ready)
      }
    })
    // A process that can reach the socket's directory may connect, as over TCP.
    if (endpoint.kind === 'unix') chmodSync(endpoint.path, 0o666)
    this.#watch(server)
    return server
  }

  /** Undefined: this host does not have the address and can do without. */
  async #bindIfThere(endpoint: Endpoint, wanted: Wanted): Promise<Server | undefined> {
    try {
      return await this.#bind(endpoint)
    } catch (error) {
      // Where IPv6 is switched off, "localhost" is 127.0.0.1 alone.
      const isAbsent =
        error instanceof Error &&
        'code' in error &&
        (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT')
      if (!isAbsent || endpoint.kind !== 'tcp' || endpoint.host !== '::1') throw error
      if (!wanted.has(bindingName({ ...endpoint, host: '127.0.0.1' }))) throw error
      this.#options.note(`this host has no IPv6: not listening on ${formatEndpoint(endpoint)}`)
      return undefined
    }
  }

  /** Listens on an inherited socket. */
  async #adopt(fd: number, wanted: Wanted): Promise<void> {
    const server = createServer(SOCKETS, socket => {
      if (adopted.endpoint) this.#options.accept(socket, adopted.endpoint)
      else socket.destroy()
    })
    const adopted: Inherited = { server, endpoint: undefined }
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen({ fd, backlog: BACKLOG }, () => resolve())
      })
    } catch (error) {
      const why = describeError(error)
      this.#options.note(`inherited descriptor ${fd} is not a listening socket: ${why}`)
      return
    }
    this.#watch(server)
    const name = boundAddress(server, fd)
    // Clients may be waiting in it already; binding the others can take a moment.
    adopted.endpoint = wanted.get(name)
    this.#unused.set(name, adopted)
    if (wanted.has(name) || name === PLACEHOLDER) return
    this.#options.note(
      `inherited socket ${name} is not in the configuration: its connections are closed`,
    )
  }

  /** A listener that fails later does not end the daemon: its connections stay open. */
  #watch(server: Server): void {
    server.on('error', error => this.#options.note(`a listener failed: ${describeError(error)}`))
  }

  /** Listeners of our own that are no longer wanted and keep an endpoint from being bound. */
  #inTheWay(endpoint: Endpoint, wanted: Wanted): string[] {
    if (endpoint.kind !== 'tcp') return []
    return [...this.#bound].flatMap(([name, { endpoint: old, inherited }]) => {
      if (wanted.has(name) || inherited || old.kind !== 'tcp') return []
      return excludes(old, endpoint) ? [name] : []
    })
  }

  #close(name: string): Listener | undefined {
    const listener = this.#bound.get(name)
    if (listener === undefined) return undefined
    this.#bound.delete(name)
    const { server, inherited } = listener
    if (inherited) {
      inherited.endpoint = undefined
      this.#unused.set(name, inherited)
    } else {
      server.close()
    }
    return listener
  }

  /** A listener was closed to make room for another one that could not be bound. */
  async #restore(name: string, { endpoint }: Listener): Promise<void> {
    try {
      this.#bound.set(name, { endpoint, server: await this.#bind(endpoint) })
    } catch (error) {
      const why = describeError(error)
      this.#options.note(`${name} was closed and cannot be bound again: ${why}`)
    }
  }
}

const occupantOf = (endpoint: TcpEndpoint): string =>
  describeOwner(ownerOf(listenersInTheWay(endpoint)))

/** Removes the socket of a daemon that no longer runs. One that does run answers, and keeps its socket. */
async function clearStaleSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (!stat?.isSocket()) return
  const isAlive = await new Promise<boolean>(resolve => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    // Refused means that no process listens; behind a full backlog or a forbidden socket there is one.
    probe.once('error', error => resolve(!('code' in error && error.code === 'ECONNREFUSED')))
  })
  if (!isAlive) unlinkSync(path)
}
