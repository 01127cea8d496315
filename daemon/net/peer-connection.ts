/**
 * A connection to another program that speaks a text protocol: what is written is sent, and what arrives
 * is read up to an end that the reader knows. Bytes are latin1 here; a reader that expects UTF-8 decodes
 * the whole text.
 *
 * Whatever goes wrong (nobody listens, closed, too slow, too long) is a LookupError and ends the
 * connection. What the texts mean is not known here.
 */

import { connect, Socket } from 'node:net'
import { describeError } from '../system/errors.ts'
import { Lost, NoAnswer, type ServerFailure, Unreachable } from './server-failure.ts'

export type PeerAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string }

/** Bytes that have arrived and are not read yet; beyond, the connection is closed. */
const MOST_UNREAD = 64 * 1024
/** The peer's time to take the last words. */
const END_MILLISECONDS = 1000
/** Those of a socket that are listened for. */
const EVENTS = ['data', 'connect', 'error', 'timeout', 'close'] as const

export class PeerConnection {
  readonly #name: string
  readonly #socket: Socket
  #unread = ''
  #failure: ServerFailure | undefined
  #wake: () => void = () => undefined
  #isConnected = false
  #hasSpoken = false

  /**
   * @param peer where it listens, or a connection to it that is open
   * @param name the peer, as messages call it
   */
  constructor(peer: PeerAddress | Socket, name: string) {
    this.#name = name
    this.#isConnected = peer instanceof Socket
    this.#socket = peer instanceof Socket ? peer : connect({ ...peer, noDelay: true })
    this.#socket
      .setEncoding('latin1')
      .on('data', text => {
        this.#hasSpoken = true
        // With an encoding set, it is a string.
        this.#unread += String(text)
        if (this.#unread.length > MOST_UNREAD) {
          this.#fail(new Lost('the answer is too long', name))
        }
        this.#wake()
      })
      .on('connect', () => {
        this.#isConnected = true
        this.#wake()
      })
      .on('error', error => this.#end(describeSocketError(error)))
      .on('timeout', () => this.#end('closed because it was idle'))
      .on('close', () => this.#end('the connection was closed'))
  }

  /** It is open, and nothing has arrived that was not asked for. */
  get isUsable(): boolean {
    return this.#failure === undefined && this.#unread === ''
  }

  /** Has anything arrived since the last `rest`? */
  get hasSpoken(): boolean {
    return this.#hasSpoken
  }

  /** This end's address, once it is connected. */
  get localAddress(): string | undefined {
    return this.#socket.localAddress
  }

  /** This end's port, once it is connected. */
  get localPort(): number | undefined {
    return this.#socket.localPort
  }

  /** Resolves when it is connected. */
  async connected(signal: AbortSignal): Promise<void> {
    await this.#until(() => this.#isConnected || undefined, signal)
  }

  /**
   * The same connection with TLS from here on; this one has ended then. Nobody checks who the peer is. What it
   * has sent before, and nobody has read, could be anybody's: that is a failure.
   */
  async encrypted(signal: AbortSignal): Promise<PeerConnection> {
    if (!this.isUsable) throw this.#failure ?? new Lost('it spoke before TLS had begun', this.#name)
    // Nothing else needs it, and it is slow to load.
    const { connect: secure } = process.getBuiltinModule('node:tls')
    const plain = this.#socket
    for (const event of EVENTS) plain.removeAllListeners(event)
    // The failure of a socket beneath TLS is that of TLS.
    plain.on('error', () => undefined)
    this.#failure = new Lost('TLS has begun', this.#name)
    const socket = secure({ socket: plain, rejectUnauthorized: false })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const fail = (reason: string): void => reject(new Lost(reason, this.#name))
    const stop = (): void => fail('no answer in time')
    socket.once('secureConnect', () => resolve())
    socket.once('error', error => fail(describeSocketError(error)))
    socket.once('close', () => fail('the connection was closed'))
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    try {
      await promise
    } catch (error) {
      socket.destroy()
      throw error
    } finally {
      signal.removeEventListener('abort', stop)
    }
    return new PeerConnection(socket, this.#name)
  }

  write(text: string, encoding: 'latin1' | 'utf8' = 'utf8'): void {
    if (!this.#failure) this.#socket.write(text, encoding)
  }

  /** What arrives up to the first match of `end`, including it. */
  read(end: RegExp, signal: AbortSignal): Promise<string> {
    return this.#until(() => {
      const match = end.exec(this.#unread)
      if (!match) return undefined
      const length = match.index + match[0].length
      const text = this.#unread.slice(0, length)
      this.#unread = this.#unread.slice(length)
      return text
    }, signal)
  }

  /** What `find` finds, tried again whenever something has happened. */
  async #until<T>(find: () => T | undefined, signal: AbortSignal): Promise<T> {
    const stop = (): void => this.#fail(new NoAnswer(undefined, this.#name))
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    try {
      for (;;) {
        const found = find()
        if (found !== undefined) return found
        if (this.#failure) throw this.#failure
        const { promise, resolve } = Promise.withResolvers<void>()
        this.#wake = resolve
        await promise
      }
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  /** Sets it aside: it does not keep the process alive, and is closed after `milliseconds`. */
  rest(milliseconds: number): void {
    this.#hasSpoken = false
    this.#socket.unref().setTimeout(milliseconds)
  }

  /** Takes it up again. */
  resume(): void {
    this.#socket.ref().setTimeout(0)
  }

  /** Sends the last words and hangs up. */
  end(text: string): void {
    if (!this.#failure) this.#socket.setTimeout(END_MILLISECONDS).end(text)
  }

  close(): void {
    this.#end('the connection was closed')
  }

  #end(reason: string): void {
    const Failure = this.#isConnected ? Lost : Unreachable
    this.#fail(new Failure(reason, this.#name))
  }

  #fail(failure: ServerFailure): void {
    this.#failure ??= failure
    this.#socket.destroy()
    this.#wake()
  }
}

/** When all addresses of a name fail, Node reports them together, each with its own message. */
export function describeSocketError(error: Error): string {
  return error instanceof AggregateError
    ? error.errors.map(describeError).join(', ')
    : describeError(error)
}
