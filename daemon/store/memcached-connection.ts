/**
 * One connection to one memcached, in its text protocol (memcached's doc/protocol.txt).
 *
 * Commands are sent as they come, answers arrive in their order. The connection is made when it is
 * first needed and again after it was lost. An answer that is late, too large or not understood
 * ends it, because nobody could tell any more which answer belongs to whom: all who wait fail.
 */

import { connect, type Socket } from 'node:net'
import { describeError, LookupError } from '../policy/errors.ts'
import {
  ANSWER_MILLISECONDS,
  MOST_BYTES,
  MOST_WAITING,
  Patience,
  serverAddress,
} from './server-limits.ts'

/** A word such as STORED or NOT_FOUND, a number, or the value that was asked for. */
export interface MemcachedAnswer {
  readonly line: string
  readonly value: string | undefined
}

export interface MemcachedConnection {
  /** Rejects with LookupError. */
  ask(command: string): Promise<MemcachedAnswer>
  close(): void
}

interface Waiting {
  readonly since: number
  resolve(answer: MemcachedAnswer): void
  reject(error: LookupError): void
}

const MOST_LINE = 1024
/** Commands that were not sent yet. */
const MOST_UNSENT = 8 * MOST_BYTES
const LINE_END = '\r\n'
const AFTER_VALUE = '\r\nEND\r\n'

/** @param server HOST:PORT or the path of a socket. Throws LookupError if it is neither. */
export function memcachedConnection(server: string): MemcachedConnection {
  const address = serverAddress(server, 11211)
  let socket: Socket | undefined
  let received = Buffer.alloc(0)
  let waiting: Waiting[] = []
  let timer: NodeJS.Timeout | undefined
  const patience = new Patience()
  let isClosed = false

  function open(): Socket {
    const opened = connect({ ...address, noDelay: true })
    opened.on('data', chunk => {
      if (opened !== socket) return
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      take()
    })
    const ended = (error?: Error): void => {
      if (opened === socket) fail(error ? describeError(error) : 'the connection was closed')
    }
    opened
      .on('error', ended)
      .on('end', () => ended())
      .on('close', () => ended())
    return opened
  }

  /** Everybody who waits fails; the next one to ask connects again. */
  function fail(reason: string): void {
    const failed = waiting
    waiting = []
    patience.noteHeard()
    received = Buffer.alloc(0)
    socket?.destroy()
    socket = undefined
    clearTimeout(timer)
    timer = undefined
    for (const { reject } of failed) reject(new LookupError(`memcached ${server}: ${reason}`))
  }

  /** Hands out the answers that have arrived whole. */
  function take(): void {
    try {
      for (let answer = readAnswer(received); answer; answer = readAnswer(received)) {
        const first = waiting.shift()
        if (!first) throw new LookupError('an answer that nobody asked for')
        patience.noteHeard()
        received = received.subarray(answer.bytes)
        if (/^(?:CLIENT|SERVER)_ERROR/.test(answer.line)) {
          first.reject(new LookupError(`memcached ${server}: ${answer.line}`))
        } else first.resolve(answer)
      }
    } catch (error) {
      fail(describeError(error))
    }
  }

  /** One timer for all: the first in the line is the first to be late. */
  function watch(): void {
    const [first] = waiting
    timer = undefined
    if (!first) return
    const left = first.since + ANSWER_MILLISECONDS - performance.now()
    if (left > 0) {
      timer = setTimeout(watch, left)
      return
    }
    fail(`no answer within ${ANSWER_MILLISECONDS} ms`)
    patience.noteSilent()
  }

  return {
    ask(command) {
      return new Promise((resolve, reject) => {
        const refuse = (reason: string): void =>
          reject(new LookupError(`memcached ${server}: ${reason}`))
        if (isClosed) return refuse('closed')
        if (waiting.length >= MOST_WAITING || (socket?.writableLength ?? 0) > MOST_UNSENT) {
          return refuse('too many questions wait for it')
        }
        const refusal = patience.refusal()
        if (refusal !== undefined) return refuse(refusal)
        socket ??= open()
        waiting.push({ since: performance.now(), resolve, reject })
        timer ??= setTimeout(watch, ANSWER_MILLISECONDS)
        socket.write(command)
      })
    },
    close() {
      isClosed = true
      fail('closed')
    },
  }
}

/** The first answer, if it is all there. Throws LookupError if it cannot be one. */
function readAnswer(received: Buffer): (MemcachedAnswer & { readonly bytes: number }) | undefined {
  const end = received.indexOf(LINE_END)
  if ((end < 0 ? received.length : end) > MOST_LINE) throw new LookupError('a line has no end')
  if (end < 0) return undefined
  const line = received.toString('utf8', 0, end)
  const begin = end + LINE_END.length
  if (line === 'ERROR') throw new LookupError('it does not know a command of ours')
  if (!line.startsWith('VALUE ')) return { line, value: undefined, bytes: begin }

  const size = Number(line.split(' ')[3])
  if (!(size <= MOST_BYTES)) throw new LookupError(`a value of ${size} bytes is too large`)
  const bytes = begin + size + AFTER_VALUE.length
  if (received.length < bytes) return undefined
  if (received.toString('latin1', begin + size, bytes) !== AFTER_VALUE) {
    throw new LookupError('a value has no end')
  }
  return { line, value: received.toString('utf8', begin, begin + size), bytes }
}
