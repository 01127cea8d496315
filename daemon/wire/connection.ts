/**
 * One connection from Postfix: requests in, answers out in the order of the requests.
 *
 * We never close first, because that costs Postfix a second and is logged nowhere
 * (attr_clnt(3), Postfix 3.7): only after garbage, where the file sets `keepalive_timeout` or
 * `max_keepalive`, when an answer is withheld (`on_failure = close`), and at a stop when nothing is
 * under way. A peer that does not read its answers is not read from either.
 */

import type { Socket } from 'node:net'
import type { MaybePromise } from '../policy/plugin.ts'
import { type Attributes, type Connection, PolicyRequest } from '../policy/request.ts'
import type { Verdict } from '../policy/verdict.ts'
import { ProtocolError } from './attributes.ts'
import { DirectSocket, type Receiver } from './direct-socket.ts'
import { RequestParser } from './parser.ts'
import { formatReply } from './reply.ts'
import type { Leave } from './turn.ts'

/** What is the same for all connections. */
export interface Conversation {
  answer(request: PolicyRequest): MaybePromise<Verdict>
  /** What is answered when the decision could not be made durable. */
  unsettled(verdict: Verdict): Verdict
  turn(leave: Leave): void
  /** Seconds to wait for a whole request; 0 waits for ever. */
  readonly keepaliveSeconds: number
  /** Requests per connection; 0 is no limit. */
  readonly mostRequests: number
  closed(connection: Connection, reason: string): void
}

/** More than this unread by the peer, or waiting for an answer, and we stop reading. */
const MOST_UNREAD_BYTES = 64 * 1024
const MOST_WAITING = 64

export class OpenConnection implements Receiver {
  readonly #connection: Connection
  readonly #conversation: Conversation
  readonly #peer: DirectSocket
  readonly #parser = new RequestParser()
  readonly #waiting: Attributes[] = []
  #isNew = true
  #isAnswering = false
  /** Answers that have not left yet. */
  #unsent = 0
  #served = 0
  #isFinishing = false
  #reason = 'peer'
  #timer: NodeJS.Timeout | undefined

  /** Goes on with an accepted socket that is paused; `gone` is called once, when it is closed. */
  constructor(
    accepted: Socket,
    connection: Connection,
    conversation: Conversation,
    gone: () => void,
  ) {
    this.#connection = connection
    this.#conversation = conversation
    this.#peer = new DirectSocket(accepted, this)
    const { socket } = this.#peer
    socket.on('drain', () => this.#work())
    socket.on('end', () => {
      // Half-closed: what was asked is still answered.
      if (this.isBusy) this.#isFinishing = true
      else this.#peer.end()
    })
    socket.on('error', error => {
      if (this.#reason === 'peer') this.#reason = error.message
    })
    socket.on('close', () => {
      clearTimeout(this.#timer)
      gone()
      conversation.closed(connection, this.#reason)
    })
    this.#armKeepalive()
  }

  /** Something has been asked that is not answered yet. */
  get isBusy(): boolean {
    const isWaiting = this.#waiting.length > 0 && this.#peer.isOpen
    return this.#isAnswering || this.#unsent > 0 || isWaiting
  }

  /** Nothing has been asked yet, so something is about to be. */
  get isNew(): boolean {
    return this.#isNew
  }

  /** Closes as soon as nothing is under way. */
  finish(): void {
    this.#isFinishing = true
    if (!this.isBusy) {
      this.#reason = 'stop'
      // Postfix holds its end of an idle connection for minutes: there is nothing to wait for.
      this.#peer.end()
      this.#peer.socket.destroySoon()
    }
  }

  destroy(): void {
    this.#peer.socket.destroy()
  }

  receive(bytes: Buffer, length: number): void {
    this.#isNew = false
    let requests: Attributes[]
    try {
      requests = this.#parser.push(bytes, length)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#close(error.message)
      return
    }
    const [first] = requests
    // As from Postfix, which asks one thing at a time.
    if (first && requests.length === 1 && this.#waiting.length === 0 && this.#mayDecide()) {
      this.#decide(first)
    } else {
      for (const attributes of requests) this.#waiting.push(attributes)
      this.#work()
    }
  }

  /** Not two at a time, not too many in one turn, and none beyond what is answered here. */
  #mayDecide(): boolean {
    const { mostRequests } = this.#conversation
    const isLast = mostRequests > 0 && this.#served + this.#unsent >= mostRequests
    return !this.#isAnswering && this.#unsent < MOST_WAITING && !isLast && this.#peer.isOpen
  }

  #decide(attributes: Attributes): void {
    const verdict = this.#conversation.answer(new PolicyRequest(attributes, this.#connection))
    if (!(verdict instanceof Promise)) {
      this.#send(verdict)
      return
    }
    this.#isAnswering = true
    verdict.then(
      decided => {
        this.#isAnswering = false
        this.#send(decided)
        this.#work()
      },
      // `answer` handles its own failures; what comes here is a bug and must be loud.
      error => {
        this.#close('internal error')
        throw error
      },
    )
  }

  /**
   * Decides what is waiting, one after the other; stops where a decision takes time, and after so
   * many in one turn: a packet of 64 KiB can hold a hundred requests.
   */
  #work(): void {
    while (this.#waiting.length > 0 && this.#mayDecide()) {
      const attributes = this.#waiting.shift()
      if (attributes) this.#decide(attributes)
    }
    const { socket, unsent } = this.#peer
    if (this.#waiting.length > MOST_WAITING) socket.pause()
    else if (socket.isPaused() && unsent < MOST_UNREAD_BYTES) socket.resume()
  }

  #send(verdict: Verdict): void {
    this.#unsent++
    this.#conversation.turn(isDurable => this.#leave(verdict, isDurable))
  }

  #leave(verdict: Verdict, isDurable: boolean): void {
    this.#unsent--
    const peer = this.#peer
    if (!peer.isOpen) return
    const settled = isDurable ? verdict : this.#conversation.unsettled(verdict)
    if (settled.silent) {
      this.#close('no answer')
      return
    }
    peer.send(formatReply(settled.action))
    this.#served++
    const { mostRequests } = this.#conversation
    if (mostRequests > 0 && this.#served >= mostRequests) {
      this.#reason = 'max_keepalive'
      peer.end()
      return
    }
    this.#armKeepalive()
    if (peer.unsent > MOST_UNREAD_BYTES) peer.socket.pause()
    // Not before everybody else had a turn, however much has been asked here.
    if (this.#unsent === 0 && this.#waiting.length > 0) setImmediate(() => this.#work())
    if (this.#isFinishing) this.finish()
  }

  #close(why: string): void {
    if (this.#reason === 'peer') this.#reason = why
    this.destroy()
  }

  #armKeepalive(): void {
    const { keepaliveSeconds } = this.#conversation
    if (keepaliveSeconds === 0) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      // A request under way is not idleness; its answer starts the time anew.
      if (!this.#isAnswering && this.#unsent === 0) this.#close('keepalive timeout')
    }, keepaliveSeconds * 1000)
  }
}
