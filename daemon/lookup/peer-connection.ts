/**
 * A connection to another program that talks in texts: what we say goes out, what it says is read
 * up to an end the reader knows. Bytes are latin1 here; who expects UTF-8 decodes the whole text.
 *
 * Whatever goes wrong (nobody there, closed, too slow, too long) is a LookupError and the end of
 * the connection. Does not know what the texts mean.
 */

import { connect, type Socket } from 'node:net'
import { describeError, LookupError } from '../policy/errors.ts'

export type PeerAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string }

/** More than that unread is not waited for; characters, which here are bytes. */
const MOST_UNREAD = 64 * 1024

export class PeerConnection {
  readonly #name: string
  readonly #socket: Socket
  #unread = ''
  #failure: LookupError | undefined
  #wake: () => void = () => undefined
  #hasSpoken = false

  /** @param name what messages call the peer. */
  constructor(address: PeerAddress, name: string) {
    this.#name = name
    this.#socket = connect({ ...address, noDelay: true })
    this.#socket
      .setEncoding('latin1')
      .on('data', text => {
        this.#hasSpoken = true
        // With an encoding set, it is a string.
        this.#unread += String(text)
        if (this.#unread.length > MOST_UNREAD) this.#fail('the answer is too long')
        this.#wake()
      })
      .on('error', error => this.#fail(describeSocketError(error)))
      .on('timeout', () => this.#fail('closed, for it was not used'))
      .on('close', () => this.#fail('the connection was closed'))
  }

  /** Nobody has hung up, and nothing was said that we did not ask for. */
  get isUsable(): boolean {
    return this.#failure === undefined && this.#unread === ''
  }

  /** Has anything been heard since the last `rest`? */
  get hasSpoken(): boolean {
    return this.#hasSpoken
  }

  /** Ours, once it is connected. */
  get localAddress(): string | undefined {
    return this.#socket.localAddress
  }

  write(text: string, encoding: 'latin1' | 'utf8' = 'utf8'): void {
    if (!this.#failure) this.#socket.write(text, encoding)
  }

  /** What is said up to the first match of `end`, with it. */
  async read(end: RegExp, signal: AbortSignal): Promise<string> {
    const stop = (): void => this.#fail('no answer in time')
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

  /** Not used for now: keeps no process alive, and is closed if that lasts. */
  rest(milliseconds: number): void {
    this.#hasSpoken = false
    this.#socket.unref().setTimeout(milliseconds)
  }

  /** Used again. */
  resume(): void {
    this.#socket.ref().setTimeout(0)
  }

  /** Says the last words and hangs up; the peer has a moment to take them. */
  end(text: string): void {
    if (!this.#failure) this.#socket.setTimeout(1000).end(text)
  }

  close(): void {
    this.#fail('the connection was closed')
  }

  #fail(reason: string): void {
    this.#failure ??= new LookupError(`${this.#name}: ${reason}`)
    this.#socket.destroy()
    this.#wake()
  }
}

/** Several addresses of one name fail together, with a message for each. */
export function describeSocketError(error: Error): string {
  return error instanceof AggregateError
    ? error.errors.map(describeError).join(', ')
    : describeError(error)
}
