/**
 * How many connections there are. Where there are too many, the one that has been silent for longest gives
 * its place to the new one, so that silent ones keep nobody out; one with a request under way keeps it.
 */

import type { Socket } from 'node:net'
import { canonicalAddress } from '../net/address.ts'
import { isLoopbackAddress } from '../net/loopback.ts'

export interface ConnectionBounds {
  readonly most: number
  /** From one address that is not this host's: what comes through a proxy comes from there. */
  readonly mostPerAddress: number
}

export class Connections {
  readonly #bounds: ConnectionBounds
  /** Without a request under way: the one silent for longest first. */
  readonly #silent = new Set<Socket>()
  readonly #busy = new Set<Socket>()
  readonly #perAddress = new Map<string, number>()

  constructor(bounds: ConnectionBounds) {
    this.#bounds = bounds
  }

  get count(): number {
    return this.#silent.size + this.#busy.size
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
      const [oldest] = this.#silent
      if (!oldest) {
        socket.destroy()
        return false
      }
      this.#silent.delete(oldest)
      oldest.destroy()
    }
    this.#silent.add(socket)
    if (address !== '') this.#perAddress.set(address, own + 1)
    socket.once('close', () => this.#left(socket, address))
    return true
  }

  /** A request has arrived on it. */
  begun(socket: Socket): void {
    if (this.#silent.delete(socket)) this.#busy.add(socket)
  }

  /** It was answered. */
  ended(socket: Socket): void {
    if (this.#busy.delete(socket) && !socket.destroyed) this.#silent.add(socket)
  }

  #left(socket: Socket, address: string): void {
    this.#silent.delete(socket)
    this.#busy.delete(socket)
    if (address === '') return
    const left = (this.#perAddress.get(address) ?? 1) - 1
    if (left > 0) this.#perAddress.set(address, left)
    else this.#perAddress.delete(address)
  }
}

/** Empty: this host, or a unix socket. */
function addressOf({ remoteAddress }: Socket): string {
  const address = canonicalAddress(remoteAddress ?? '') ?? ''
  return isLoopbackAddress(address) ? '' : address
}
