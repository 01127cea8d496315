/**
 * One connection to one memcached, in its text protocol (memcached's doc/protocol.txt).
 *
 * Commands are sent as they come, and answers arrive in the same order. The connection is made with the
 * first command, and again after it was lost. An answer that is late, too large or not understood ends
 * it, because from then on nobody could tell which answer belongs to which command: all that are pending
 * fail.
 */

import { connect, type Socket } from 'node:net'
import { describeSocketError } from '../net/peer-connection.ts'
import { KEEP_ALIVE_MILLISECONDS, ServerAccess } from '../net/server-access.ts'
import { Lost, NoAnswer, Unreachable } from '../net/server-failure.ts'
import type { Clock } from '../system/clock.ts'
import { describeError, LookupError } from '../system/errors.ts'
import { within } from '../system/within.ts'
import { ANSWER_MILLISECONDS, MOST_BYTES, serverAddress, storeAccess } from './server-limits.ts'

/** A word such as STORED or NOT_FOUND, a number, or the value that was asked for. */
export interface MemcachedAnswer {
  readonly line: string
  readonly value: string | undefined
}

type Pending = PromiseWithResolvers<MemcachedAnswer>

const MOST_LINE = 1024
/** Commands that have not been sent yet. */
const MOST_UNSENT = 8 * MOST_BYTES
const LINE_END = '\r\n'
const AFTER_VALUE = '\r\nEND\r\n'

export class MemcachedConnection {
  readonly #address: ReturnType<typeof serverAddress>
  readonly #clock: Clock
  readonly #access: ServerAccess
  #socket: Socket | undefined
  #isConnected = false
  #received: Buffer = Buffer.alloc(0)
  #pending: Pending[] = []

  /** @param server HOST:PORT or the path of a socket. Throws LookupError if it is neither. */
  constructor(server: string, clock: Clock) {
    this.#address = serverAddress(server, 11211)
    this.#clock = clock
    const closeIdle = (): void => this.#end(new Lost('idle'))
    this.#access = new ServerAccess(storeAccess({ title: `memcached ${server}`, clock, closeIdle }))
  }

  /** Rejects with LookupError. */
  ask(command: string): Promise<MemcachedAnswer> {
    return this.#access.ask(milliseconds =>
      within(this.#clock, milliseconds, this.#send(command), () => {
        const silence = new NoAnswer(ANSWER_MILLISECONDS)
        this.#end(silence)
        return silence
      }),
    )
  }

  close(): void {
    this.#access.close()
    this.#end(new Lost('the connection has been closed'))
  }

  #send(command: string): Promise<MemcachedAnswer> {
    if ((this.#socket?.writableLength ?? 0) > MOST_UNSENT) {
      return Promise.reject(new LookupError(`more than ${MOST_UNSENT} bytes are unsent`))
    }
    this.#socket ??= this.#open()
    const pending: Pending = Promise.withResolvers()
    this.#pending.push(pending)
    this.#socket.write(command)
    return pending.promise
  }

  #open(): Socket {
    const opened = connect({ ...this.#address, noDelay: true })
    opened.setKeepAlive(true, KEEP_ALIVE_MILLISECONDS)
    const ended = (reason: string): void => {
      if (opened !== this.#socket) return
      this.#end(this.#isConnected ? new Lost(reason) : new Unreachable(reason))
    }
    return opened
      .on('connect', () => {
        this.#isConnected = opened === this.#socket
      })
      .on('data', chunk => {
        if (opened === this.#socket) this.#take(chunk)
      })
      .on('error', error => ended(describeSocketError(error)))
      .on('end', () => ended('the connection was closed'))
      .on('close', () => ended('the connection was closed'))
  }

  /** All that are pending fail; the next command connects again. */
  #end(failure: LookupError): void {
    const failed = this.#pending
    this.#pending = []
    this.#received = Buffer.alloc(0)
    this.#socket?.destroy()
    this.#socket = undefined
    this.#isConnected = false
    for (const { reject } of failed) reject(failure)
  }

  /** Hands out the answers that have arrived whole. */
  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    try {
      for (let answer = this.#next(); answer; answer = this.#next()) {
        const first = this.#pending.shift()
        if (!first) throw new LookupError('an answer without a command')
        this.#received = this.#received.subarray(answer.bytes)
        if (/^(?:CLIENT|SERVER)_ERROR/.test(answer.line)) first.reject(new LookupError(answer.line))
        else first.resolve(answer)
      }
    } catch (error) {
      this.#end(new LookupError(describeError(error)))
    }
  }

  #next(): ReturnType<typeof readAnswer> {
    return readAnswer(this.#received)
  }
}

/** The first answer, if it is all there. Throws LookupError if it cannot be one. */
function readAnswer(received: Buffer): (MemcachedAnswer & { readonly bytes: number }) | undefined {
  const end = received.indexOf(LINE_END)
  if ((end < 0 ? received.length : end) > MOST_LINE) throw new LookupError('a line without an end')
  if (end < 0) return undefined
  const line = received.toString('utf8', 0, end)
  const begin = end + LINE_END.length
  if (line === 'ERROR') throw new LookupError('it does not know the command')
  if (!line.startsWith('VALUE ')) return { line, value: undefined, bytes: begin }

  const size = Number(line.split(' ')[3])
  if (!(size <= MOST_BYTES)) throw new LookupError(`a value of ${size} bytes is too large`)
  const bytes = begin + size + AFTER_VALUE.length
  if (received.length < bytes) return undefined
  if (received.toString('latin1', begin + size, bytes) !== AFTER_VALUE) {
    throw new LookupError('a value without an end')
  }
  return { line, value: received.toString('utf8', begin, begin + size), bytes }
}
