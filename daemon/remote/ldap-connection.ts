/**
 * One connection to a directory: a client of the library's, on sockets of our own, because ldapts 9.2
 * notices the end of a connection after StartTLS only when the time for an answer is up, has no time
 * limit for the handshake, and opens two connections for two searches at once.
 */

import { once } from 'node:events'
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectSecure, type TLSSocket } from 'node:tls'
import type { Client } from 'ldapts'
import { describeSocketError } from '../net/peer-connection.ts'
import { KEEP_ALIVE_MILLISECONDS } from '../net/server-access.ts'
import { Lost, type ServerFailure } from '../net/server-failure.ts'
import { trustedAuthorities } from '../net/trusted-authorities.ts'
import type { LdapTarget } from './ldap-target.ts'

export interface Login {
  readonly name: string
  readonly password: string | undefined
}

/** For searches that are still under way when the connection is closed. */
const GOODBYE_MILLISECONDS = 1000

export class LdapConnection {
  readonly client: Client
  readonly #target: LdapTarget
  readonly #sockets: Socket[] = []
  readonly #connected: Promise<unknown>
  readonly #lost = Promise.withResolvers<never>()
  #isOpen = true

  /** Begins to connect. */
  constructor(target: LdapTarget, { Client: LibraryClient }: typeof import('ldapts')) {
    this.#target = target
    this.#lost.promise.catch(() => undefined)
    const keepAlive = { keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MILLISECONDS }
    const plain = this.#watched(connectPlain({ ...target.socket, noDelay: true, ...keepAlive }))
    const socket = target.isSecure ? this.#secured(plain) : plain
    this.#connected = once(socket, target.isSecure ? 'secureConnect' : 'connect')
    this.#connected.catch(() => undefined)
    this.client = new LibraryClient({
      url: 'ldap://directory',
      createConnection: () => socket,
      createSecureConnection: () => this.#secured(plain),
    })
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Connected, encrypted and bound. */
  async prepare(login: Login | undefined): Promise<void> {
    await this.orLost(this.#connected)
    // Its options are given where the socket is made.
    if (this.#target.startsTls) await this.orLost(this.client.startTLS())
    if (login) await this.orLost(this.client.bind(login.name, login.password))
  }

  /** The work's result, unless the connection is lost first. */
  orLost<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#lost.promise])
  }

  onceLost(run: () => void): void {
    this.#lost.promise.catch(run)
  }

  lose(failure: ServerFailure): void {
    this.#isOpen = false
    this.#lost.reject(failure)
    for (const socket of this.#sockets) socket.destroy()
  }

  /** In good order, if that is still possible. */
  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.client.unbind().catch(() => undefined)
    setTimeout(() => this.lose(new Lost('the connection was closed')), GOODBYE_MILLISECONDS).unref()
  }

  #watched<T extends Socket>(socket: T): T {
    this.#sockets.push(socket)
    socket.on('error', error => this.lose(new Lost(describeSocketError(error))))
    socket.on('close', () => this.lose(new Lost('the connection was closed')))
    return socket
  }

  #secured(plain: Socket): TLSSocket {
    const { socket } = this.#target
    const identity = 'host' in socket ? identityOf(socket.host) : {}
    const secureContext = trustedAuthorities()
    return this.#watched(connectSecure({ ...identity, socket: plain, secureContext }))
  }
}

/** The name its certificate must have; an address is not a server name (RFC 6066, 3). */
function identityOf(host: string): { host: string; servername?: string } {
  return isIP(host) ? { host } : { host, servername: host }
}
