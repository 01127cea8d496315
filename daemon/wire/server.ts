/**
 * The server: its listening sockets (listeners.ts) and the connections that came in through them, and what
 * these have in common, so that none takes more than its share.
 */

import type { Socket } from 'node:net'
import { type Endpoint, endpointKey } from '../net/endpoint.ts'
import type { TcpEndpoint } from '../net/listeners.ts'
import type { Connection } from '../policy/request.ts'
import { type Clock, systemClock } from '../system/clock.ts'
import { RequestShapes } from './attributes.ts'
import { type Commons, type Conversation, OpenConnection } from './connection.ts'
import { Listeners } from './listeners.ts'

export interface ServerOptions {
  readonly clock?: Clock
  readonly conversation: Conversation
  /** May this address connect? */
  admits(address: string): boolean
  opened(connection: Connection, peer: string): void
  refused(peer: string): void
  /** Listening sockets that were open when the process began. */
  readonly inherited?: readonly number[]
  /** Throws if this endpoint is not to be bound, free or not. */
  mayBind?(endpoint: TcpEndpoint): void
  /** For the log: a listener that is not as configured. */
  note?(message: string): void
}

export type PolicyServer = Server

/** Incomplete requests of all connections together. Postfix sends a request at once, and it is read at once. */
const MOST_HELD_BYTES = 64 * 1024 * 1024
const TOO_MUCH = `incomplete requests exceed ${MOST_HELD_BYTES} bytes in total; closing the largest`
/** How long a stop waits for the first request of clients that have just connected. */
const FIRST_REQUEST_MILLISECONDS = 100
/** Between two looks at a stop: is everything answered? */
const LOOK_MILLISECONDS = 5

export function makeServer(options: ServerOptions): PolicyServer {
  return new Server(options)
}

class Server {
  readonly #options: ServerOptions
  readonly #clock: Clock
  readonly #listeners: Listeners
  readonly #open = new Map<number, OpenConnection>()
  readonly #turns = new Turns()
  /** Connections that wait for a configuration; undefined: none has to. */
  #held: (readonly [Socket, Endpoint])[] | undefined
  #nextId = 1
  #heldBytes = 0
  readonly #commons: Commons = {
    shapes: new RequestShapes(),
    noteHeld: more => this.#noteHeld(more),
    later: work => this.#turns.add(work),
  }

  constructor(options: ServerOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#listeners = new Listeners({
      accept: (socket, endpoint) => this.#accept(socket, endpoint),
      inherited: options.inherited ?? [],
      mayBind: endpoint => options.mayBind?.(endpoint),
      note: message => options.note?.(message),
    })
  }

  /** Binds what is new, closes what is gone. Rejects, with nothing changed, if an endpoint cannot be bound. */
  listen(endpoints: readonly Endpoint[]): Promise<void> {
    return this.#listeners.listen(endpoints)
  }

  /**
   * From now on new connections wait, unread, until `release`. For a configuration that listens already and
   * is not in force yet: its endpoints mean nothing to the one before.
   */
  hold(): void {
    this.#held ??= []
  }

  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const [socket, endpoint] of held) {
      if (!socket.destroyed) this.#accept(socket, endpoint)
    }
  }

  get endpoints(): readonly Endpoint[] {
    return this.#listeners.endpoints
  }

  /** How many are open. */
  get connections(): number {
    return this.#open.size
  }

  /**
   * Answers all requests that have arrived, then stops listening and closes all connections; at the latest
   * after `milliseconds`.
   */
  async stop(milliseconds: number): Promise<void> {
    const clock = this.#clock
    const began = clock.elapsed()
    const passed = (): number => clock.elapsed() - began
    // A closed connection costs Postfix a second, and a client that connects now waits for the next
    // daemon: until what is under way has been answered, everything continues as usual. At least one
    // turn reads what has arrived.
    let underWay = [...this.#open.values()]
    do {
      await clock.sleep(LOOK_MILLISECONDS)
      underWay = underWay.filter(
        one => one.isBusy || (one.isNew && passed() < FIRST_REQUEST_MILLISECONDS),
      )
    } while (underWay.length > 0 && passed() < milliseconds)
    this.#listeners.close()
    for (const [socket] of this.#held ?? []) socket.destroy()
    for (const connection of this.#open.values()) connection.finish()
    while (this.#open.size > 0 && passed() < milliseconds) await clock.sleep(LOOK_MILLISECONDS)
    for (const connection of this.#open.values()) connection.destroy()
  }

  #accept(socket: Socket, endpoint: Endpoint): void {
    if (this.#held) {
      // Until it is served, nobody else would look at its errors.
      socket.on('error', () => undefined)
      this.#held.push([socket, endpoint])
      return
    }
    const options = this.#options
    const peer = socket.remoteAddress ?? 'unix'
    if (endpoint.kind === 'tcp' && !options.admits(peer)) {
      options.refused(peer)
      socket.destroy()
      return
    }
    const connection: Connection = { id: this.#nextId++, endpoint: endpointKey(endpoint) }
    options.opened(connection, peer)
    const forget = (): void => void this.#open.delete(connection.id)
    this.#open.set(
      connection.id,
      new OpenConnection(socket, connection, options.conversation, this.#commons, forget),
    )
  }

  /** The connection that holds most is closed first: ten thousand unfinished requests of a megabyte are too many. */
  #noteHeld(more: number): void {
    this.#heldBytes += more
    while (more > 0 && this.#heldBytes > MOST_HELD_BYTES) {
      const all = [...this.#open.values()]
      all.reduce((most, one) => (one.heldBytes > most.heldBytes ? one : most)).drop(TOO_MUCH)
    }
  }
}

/**
 * Work of connections that have sent many requests at once: one piece in each turn of the event loop.
 * libuv accepts one connection in each, so none may be long.
 */
class Turns {
  readonly #waiting: (() => void)[] = []
  #isDue = false

  add(work: () => void): void {
    this.#waiting.push(work)
    this.#arm()
  }

  #arm(): void {
    if (this.#isDue || this.#waiting.length === 0) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      this.#waiting.shift()?.()
      this.#arm()
    })
  }
}
