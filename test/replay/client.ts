/**
 * Postfix's part of a recorded conversation: which connection, which bytes, and what was heard.
 */

import { connect, type Socket } from 'node:net'
import type { RecordedRequest } from './case.ts'
import type { Scene } from './scene.ts'

const PATIENCE_SECONDS = 15
/** How long an open connection is watched that must stay open. */
const STAYS_OPEN_MILLISECONDS = 80

export interface Heard {
  /** Null: the connection was closed without an answer. */
  readonly answer: string | null
  readonly isClosed: boolean
}

export class Client {
  readonly #scene: Scene
  readonly #kept = new Map<string, Line>()

  constructor(scene: Scene) {
    this.#scene = scene
  }

  async ask(request: RecordedRequest, closes: boolean): Promise<Heard> {
    const {
      _conn,
      _check_close,
      _port = 'PORT',
      _raw,
      _eol = '\n',
      _shut,
      _unix,
      _timeout = PATIENCE_SECONDS,
      _pre,
      ...rest
    } = request
    let line = _conn === undefined ? undefined : this.#kept.get(_conn)
    if (!line) {
      line = new Line(
        _unix === undefined
          ? connect(Number(this.#scene.place(_port)), '127.0.0.1')
          : connect(this.#scene.fill(_unix)),
      )
      if (_conn !== undefined) this.#kept.set(_conn, line)
    }
    const attributes = Object.entries(rest).map(([name, value]) => `${name}=${value}${_eol}`)
    line.socket.write(
      _raw === undefined ? `${attributes.join('')}${_eol}` : Buffer.from(_raw, 'latin1'),
    )
    if (_shut) line.socket.end()
    const answer = await line.answer(_timeout * 1000)
    const isClosed = answer === null || (_check_close === true && (await line.closes(closes)))
    if (_conn === undefined) line.socket.destroy()
    return { answer, isClosed }
  }

  close(): void {
    for (const { socket } of this.#kept.values()) socket.destroy()
  }
}

/** One connection and what was heard on it. */
class Line {
  readonly socket: Socket
  #heard = ''
  #isClosed = false
  #wake: () => void = () => undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      this.#heard += text
      this.#wake()
    })
    // A reset is a close, too.
    socket.on('error', () => undefined)
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#isClosed = true
        this.#wake()
      })
    }
  }

  async answer(patienceMilliseconds: number): Promise<string | null> {
    const deadline = Date.now() + patienceMilliseconds
    for (;;) {
      const end = this.#heard.indexOf('\n\n')
      if (end >= 0) {
        const answer = this.#heard.slice(0, end)
        this.#heard = this.#heard.slice(end + 2)
        return answer
      }
      if (this.#isClosed) return this.#heard === '' ? null : this.#heard
      if (Date.now() > deadline) return '<timeout>'
      await this.#event(deadline - Date.now())
    }
  }

  /** @param expected a connection that must stay open is watched only for a moment. */
  async closes(expected: boolean): Promise<boolean> {
    if (!this.#isClosed)
      await this.#event(expected ? PATIENCE_SECONDS * 1000 : STAYS_OPEN_MILLISECONDS)
    return this.#isClosed
  }

  #event(milliseconds: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, milliseconds)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
