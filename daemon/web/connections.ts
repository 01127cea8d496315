/**
 * How many connections there are. Where there are too many, the one that has been waited for longest gives its place to
 * the new one, so that those who send nothing, send a request bit by bit or do not read its answer keep nobody out. One
 * whose request we are at keeps its place.
 */

import type { Socket } from 'node:net'
import { canonicalAddress } from '../net/address.ts'
import { isLoopbackAddress } from '../net/loopback.ts'
import { clientNetwork } from './client-network.ts'

/** Requests of a connection that are not answered yet. Browsers and proxies send one. */
const MOST_AT_ONCE = 8

export interface ConnectionBounds {
  readonly most: number
  /** From one address, with IPv6 one network, that is not this host's: what comes through a proxy comes from there. */
  readonly mostPerAddress: number
}

export class Connections {
  readonly #bounds: ConnectionBounds
  /** It is the other side's turn, to send or to read: the one waited for longest first. */
  readonly #waiting = new Set<Socket>()
  /** With how many requests that we are at. */
  readonly #busy = new Map<Socket, number>()
  /** Requests without an answer yet, of those that have any. */
  readonly #requests = new Map<Socket, number>()
  readonly #perAddress = new Map<string, number>()

  constructor(bounds: ConnectionBounds) {
    this.#bounds = bounds
  }

  get count(): number {
    return this.#waiting.size + this.#busy.size
  }

  /** False: it was closed at once. */
  admit(socket: Socket): boolean {
    const address = addressOf(socket)
    const own = this.#perAddress.get(address) ?? 0
    if (address !== '' && own >= this.#bounds.mostPerAddress) {
      socket.destroy()
      return false
    }
    if (this.count >= this.#bounds.most) {
      const [oldest] = this.#waiting
      if (!oldest) {
        socket.destroy()
        return false
      }
      this.#waiting.delete(oldest)
      oldest.destroy()
    }
    this.#waiting.add(socket)
    if (address !== '') this.#perAddress.set(address, own + 1)
    socket.once('close', () => this.#left(socket, address))
    return true
  }

  /** The headers of a request have arrived on it. False: there are too many already, and it was closed. */
  begun(socket: Socket): boolean {
    if (socket.destroyed) return false
    const requests = (this.#requests.get(socket) ?? 0) + 1
    if (requests > MOST_AT_ONCE) {
      socket.destroy()
      return false
    }
    this.#requests.set(socket, requests)
    if (this.#waiting.delete(socket)) this.#waiting.add(socket)
    return true
  }

  /** A request has arrived as a whole: its answer is our turn. */
  arrived(socket: Socket): void {
    if (!this.#waiting.delete(socket) && !this.#busy.has(socket)) return
    this.#busy.set(socket, (this.#busy.get(socket) ?? 0) + 1)
  }

  /** Its answer is made: it remains to be read. */
  answered(socket: Socket): void {
    const others = (this.#busy.get(socket) ?? 0) - 1
    if (others > 0) this.#busy.set(socket, others)
    else if (this.#busy.delete(socket) && !socket.destroyed) this.#waiting.add(socket)
  }

  /** It has been read, or nobody reads it any more. */
  ended(socket: Socket): void {
    const others = (this.#requests.get(socket) ?? 0) - 1
    if (others > 0) this.#requests.set(socket, others)
    else this.#requests.delete(socket)
  }

  #left(socket: Socket, address: string): void {
    this.#waiting.delete(socket)
    this.#busy.delete(socket)
    this.#requests.delete(socket)
    if (address === '') return
    const left = (this.#perAddress.get(address) ?? 1) - 1
    if (left > 0) this.#perAddress.set(address, left)
    else this.#perAddress.delete(address)
  }
}

/** Empty: this host, or a unix socket. */
function addressOf({ remoteAddress }: Socket): string {
  const address = canonicalAddress(remoteAddress ?? '') ?? ''
  return isLoopbackAddress(address) ? '' : clientNetwork(address)
}
