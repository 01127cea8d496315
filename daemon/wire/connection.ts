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
import type { Cancel, Clock } from '../system/clock.ts'
import { ProtocolError, type RequestShapes } from './attributes.ts'
import { DirectSocket, type Receiver } from './direct-socket.ts'
import { RequestParser } from './parser.ts'
import { formatReply } from './reply.ts'
import type { Leave } from './turn.ts'

/** A decision on its way to the client (`policy/judged.ts`). */
export interface Answered {
  readonly verdict: Verdict
  /** Called when it could not be made durable; returns what is sent. */
  uncounted(): Verdict
  /** Called once, when the verdict has been sent, or the client has gone. */
  left(isSent: boolean): void
}

/** What is the same for all connections. */
export interface Conversation {
  answer(request: PolicyRequest): MaybePromise<Answered>
  turn(leave: Leave): void
  readonly clock: Pick<Clock, 'after'>
  /** Seconds to wait for a whole request; 0 waits for ever. */
  readonly keepaliveSeconds: number
  /** Requests per connection; 0: unlimited. */
  readonly mostRequests: number
  closed(connection: Connection, reason: string): void
}

/** What the connections of a server share, so that none takes more than its part. */
export interface Commons {
  readonly shapes: RequestShapes
  /** How many bytes more, or less, a connection holds for requests that are not read yet. */
  noteHeld(more: number): void
  /** Continues with a connection that has many requests: one after the other, each in a turn of the event loop. */
  later(work: () => void): void
}

/** More than this unread by the peer, or by us while we cannot answer, and we stop reading. */
const MOST_UNREAD_BYTES = 64 * 1024
const MOST_WAITING = 64

/**
 * `draining`: what has come is answered, then the connection is closed. `withholding`: an answer will not
 * be given (`on_failure = close`), and nothing more is decided.
 */
type Phase = 'reading' | 'draining' | 'withholding'

export class OpenConnection implements Receiver {
  readonly #connection: Connection
  readonly #conversation: Conversation
  readonly #peer: DirectSocket
  readonly #parser: RequestParser
  readonly #commons: Commons
  /** Bytes of unread requests, as they were noted last. */
  #held = 0
  #phase: Phase = 'reading'
  #hasAsked = false
  /** Is the decision about a request still awaited? */
  #isDeciding = false
  /** Answers that are decided and have not been sent. */
  #unsent = 0
  #served = 0
  /** Unread input remains. */
  #hasBacklog = false
  /** `#workLater` will read it. */
  #isScheduled = false
  #reason = 'peer'
  #cancelKeepalive: Cancel | undefined

  /** Takes over an accepted socket that is paused; `gone` is called once, when it is closed. */
  constructor(
    accepted: Socket,
    connection: Connection,
    conversation: Conversation,
    commons: Commons,
    gone: () => void,
  ) {
    this.#connection = connection
    this.#conversation = conversation
    this.#commons = commons
    this.#parser = new RequestParser(commons.shapes)
    this.#peer = new DirectSocket(accepted, this)
    const { socket } = this.#peer
    socket.on('drain', () => this.#workLater())
    socket.on('end', () => {
      // Half-closed: requests that have come are still answered.
      if (this.isBusy) this.#drain()
      else this.#peer.end()
    })
    socket.on('error', error => {
      if (this.#reason === 'peer') this.#reason = error.message
    })
    socket.on('close', () => {
      this.#cancelKeepalive?.()
      this.#forget()
      gone()
      conversation.closed(connection, this.#reason)
    })
    this.#armKeepalive()
  }

  /** A request has not been answered yet. */
  get isBusy(): boolean {
    const isWaiting = this.#hasBacklog && this.#peer.isOpen
    return this.#isDeciding || this.#unsent > 0 || isWaiting
  }

  /** No request has come yet, so one is about to. */
  get isNew(): boolean {
    return !this.#hasAsked
  }

  /** Bytes of memory for requests that are not read yet. */
  get heldBytes(): number {
    return this.#held
  }

  /** Closes as soon as nothing is under way. */
  finish(): void {
    this.#drain()
    if (!this.isBusy) {
      this.#reason = 'stop'
      // Postfix holds its end of an idle connection for minutes: there is nothing to wait for.
      this.#peer.end()
      this.#peer.socket.destroySoon()
    }
  }

  #drain(): void {
    if (this.#phase === 'reading') this.#phase = 'draining'
  }

  /** For the sake of the others. */
  drop(why: string): void {
    this.#close(why)
    this.#forget()
  }

  destroy(): void {
    this.#peer.socket.destroy()
  }

  receive(bytes: Buffer, length: number): void {
    this.#hasAsked = true
    // A client that got its last answer may keep sending until it closes.
    if (!this.#peer.isOpen) return
    // Postfix sends one request at a time.
    const only = this.#mayDecide() ? this.#parser.only(bytes, length) : undefined
    if (only) this.#decide(only)
    else {
      this.#parser.push(bytes, length)
      this.#work()
    }
  }

  /**
   * Decide the next request only if none is in progress, the client reads its answers, and neither
   * `max_keepalive` nor an answer that is withheld has ended the conversation.
   */
  #mayDecide(): boolean {
    const { mostRequests } = this.#conversation
    const isLast = mostRequests > 0 && this.#served + this.#unsent >= mostRequests
    const isRead = this.#unsent < MOST_WAITING && this.#peer.unsent < MOST_UNREAD_BYTES
    const isHeard = this.#phase !== 'withholding' && this.#peer.isOpen
    return !this.#isDeciding && isRead && !isLast && isHeard
  }

  #decide(attributes: Attributes): void {
    const request = new PolicyRequest(attributes, this.#connection)
    const answered = this.#conversation.answer(request)
    if (!(answered instanceof Promise)) {
      this.#send(answered)
      return
    }
    this.#isDeciding = true
    answered.then(
      decided => {
        this.#isDeciding = false
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
   * Reads and decides what has come, one request after the other, at most `most`: a packet of 64 KiB can
   * hold thousands. Stops where a decision takes time.
   */
  #work(most = 1): void {
    try {
      this.#hasBacklog = this.#parser.length > 0
      for (let left = most; left > 0 && this.#hasBacklog && this.#mayDecide(); left--) {
        const attributes = this.#parser.next()
        if (attributes) this.#decide(attributes)
        this.#hasBacklog = attributes !== undefined && this.#parser.length > 0
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#close(error.message)
    }
    this.#note()
    const { socket, unsent } = this.#peer
    if (this.#hasBacklog && this.#parser.length > MOST_UNREAD_BYTES) socket.pause()
    else if (socket.isPaused() && unsent < MOST_UNREAD_BYTES) socket.resume()
    if (this.#hasBacklog && this.#mayDecide()) this.#workLater()
    if (this.#phase === 'draining' && !this.isBusy) this.finish()
  }

  /** Not before every other connection has had a turn. */
  #workLater(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#commons.later(() => {
      this.#isScheduled = false
      this.#work(MOST_WAITING)
    })
  }

  /** Tells the server how much more, or less, is held. */
  #note(): void {
    const more = this.#parser.heldBytes - this.#held
    if (more === 0) return
    this.#held += more
    this.#commons.noteHeld(more)
  }

  #forget(): void {
    this.#hasBacklog = false
    this.#parser.clear()
    this.#note()
  }

  #send(answered: Answered): void {
    this.#unsent++
    if (answered.verdict.silent) this.#phase = 'withholding'
    this.#conversation.turn(isDurable => this.#leave(answered, isDurable))
  }

  #leave(answered: Answered, isDurable: boolean): void {
    this.#unsent--
    const verdict = isDurable ? answered.verdict : answered.uncounted()
    const peer = this.#peer
    if (!peer.isOpen) {
      answered.left(false)
      return
    }
    if (verdict.silent) {
      this.#close('no answer')
      answered.left(true)
      return
    }
    peer.send(formatReply(verdict.action))
    answered.left(true)
    this.#served++
    const { mostRequests } = this.#conversation
    if (mostRequests > 0 && this.#served >= mostRequests) {
      this.#reason = 'max_keepalive'
      peer.end()
      this.#forget()
      // What still comes is dropped; its end is needed.
      peer.socket.resume()
      return
    }
    this.#armKeepalive()
    if (peer.unsent > MOST_UNREAD_BYTES) peer.socket.pause()
    if (this.#unsent === 0 && this.#hasBacklog) this.#workLater()
    if (this.#phase === 'draining') this.finish()
  }

  #close(why: string): void {
    if (this.#reason === 'peer') this.#reason = why
    this.destroy()
  }

  #armKeepalive(): void {
    const { keepaliveSeconds, clock } = this.#conversation
    if (keepaliveSeconds === 0) return
    this.#cancelKeepalive?.()
    this.#cancelKeepalive = clock.after(keepaliveSeconds * 1000, () => {
      // A request in progress is not idleness; its answer starts the time again.
      if (!this.#isDeciding && this.#unsent === 0) this.#close('keepalive timeout')
    })
  }
}
