/**
 * A connection to another program that speaks a text protocol: what is written is sent, and what arrives
 * is read up to an end that the reader knows. Bytes are latin1 here; a reader that expects UTF-8 decodes
 * the whole text.
 *
 * Whatever goes wrong (nobody listens, closed, too slow, too long) is a LookupError and ends the
 * connection. What the texts mean is not known here.
 */

import { connect, type Socket } from 'node:net'
import { describeError } from '../system/errors.ts'
import { Lost, NoAnswer, type ServerFailure, Unreachable } from './server-failure.ts'

export type PeerAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string }

/** Bytes that have arrived and are not read yet; beyond, the connection is closed. */
const MOST_UNREAD = 64 * 1024
/** The peer's time to take the last words. */
const END_MILLISECONDS = 1000

export class PeerConnection {
  readonly #name: string
  readonly #socket: Socket
  #unread = ''
  #failure: ServerFailure | undefined
  #wake: () => void = () => undefined
  #isConnected = false
  #hasSpoken = false

  /** @param name the peer, as messages call it */
  constructor(address: PeerAddress, name: string) {
    this.#name = name
    this.#socket = connect({ ...address, noDelay: true })
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

  write(text: string, encoding: 'latin1' | 'utf8' = 'utf8'): void {
    if (!this.#failure) this.#socket.write(text, encoding)
  }

  /** What arrives up to the first match of `end`, including it. */
  async read(end: RegExp, signal: AbortSignal): Promise<string> {
    const stop = (): void => this.#fail(new NoAnswer(undefined, this.#name))
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    try {
      for (;;) {
        const match = end.exec(this.#unread)
        if (match) {
          const length = match.index + match[0].length
          const text = this.#unread.slice(0, length)
          this.#unread = this.#unread.slice(length)
          return text
        }
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
