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
  unsettled(verdict: Verdict, request: PolicyRequest): Verdict
  turn(leave: Leave): void
  /** Seconds to wait for a whole request; 0 waits for ever. */
  readonly keepaliveSeconds: number
  /** Requests per connection; 0 is no limit. */
  readonly mostRequests: number
  closed(connection: Connection, reason: string): void
}

/** What the connections of a server have in common, so that none takes more than its share. */
export interface Commons {
  /** How many bytes more, or less, a connection holds for requests that are not read yet. */
  noteHeld(more: number): void
  /** Goes on with one that has much to ask: one after the other, each in a turn of the event loop. */
  later(work: () => void): void
}

/** More than this unread by the peer, or by us while we cannot answer, and we stop reading. */
const MOST_UNREAD_BYTES = 64 * 1024
const MOST_WAITING = 64

export class OpenConnection implements Receiver {
  readonly #connection: Connection
  readonly #conversation: Conversation
  readonly #peer: DirectSocket
  readonly #parser = new RequestParser()
  readonly #commons: Commons
  /** Bytes of unread requests, as they were noted last. */
  #held = 0
  #isNew = true
  #isAnswering = false
  /** Answers that have not left yet. */
  #unsent = 0
  /** Has more come than was read, and is it to be read later? */
  #isBehind = false
  #isDueLater = false
  #served = 0
  #isFinishing = false
  /** Is there an answer that will not be given, but the connection closed? */
  #isOver = false
  #reason = 'peer'
  #timer: NodeJS.Timeout | undefined

  /** Goes on with an accepted socket that is paused; `gone` is called once, when it is closed. */
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
    this.#peer = new DirectSocket(accepted, this)
    const { socket } = this.#peer
    socket.on('drain', () => this.#workLater())
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
      this.#forget()
      gone()
      conversation.closed(connection, this.#reason)
    })
    this.#armKeepalive()
  }

  /** Something has been asked that is not answered yet. */
  get isBusy(): boolean {
    const isWaiting = this.#isBehind && this.#peer.isOpen
    return this.#isAnswering || this.#unsent > 0 || isWaiting
  }

  /** Nothing has been asked yet, so something is about to be. */
  get isNew(): boolean {
    return this.#isNew
  }

  /** Bytes of memory for requests that are not read yet. */
  get heldBytes(): number {
    return this.#held
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

  /** For the sake of the others. */
  drop(why: string): void {
    this.#close(why)
    this.#forget()
  }

  destroy(): void {
    this.#peer.socket.destroy()
  }

  receive(bytes: Buffer, length: number): void {
    this.#isNew = false
    // Whoever got the last answer may go on to send until he ends.
    if (!this.#peer.isOpen) return
    // As from Postfix, which asks one thing at a time.
    const only = this.#mayDecide() ? this.#parser.only(bytes, length) : undefined
    if (only) this.#decide(only)
    else {
      this.#parser.push(bytes, length)
      this.#work()
    }
  }

  /** Not two at a time, not too many in one turn, not for one who does not read, and none beyond what is answered here. */
  #mayDecide(): boolean {
    const { mostRequests } = this.#conversation
    const isLast = mostRequests > 0 && this.#served + this.#unsent >= mostRequests
    const isHeard = this.#unsent < MOST_WAITING && this.#peer.unsent < MOST_UNREAD_BYTES
    return !this.#isAnswering && isHeard && !isLast && !this.#isOver && this.#peer.isOpen
  }

  #decide(attributes: Attributes): void {
    const request = new PolicyRequest(attributes, this.#connection)
    const verdict = this.#conversation.answer(request)
    if (!(verdict instanceof Promise)) {
      this.#send(verdict, request)
      return
    }
    this.#isAnswering = true
    verdict.then(
      decided => {
        this.#isAnswering = false
        this.#send(decided, request)
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
   * Reads and decides what has come, one after the other; stops where a decision takes time, and
   * after so many: a packet of 64 KiB can hold thousands of requests.
   */
  #work(most = 1): void {
    try {
      this.#isBehind = this.#parser.length > 0
      for (let left = most; left > 0 && this.#isBehind && this.#mayDecide(); left--) {
        const attributes = this.#parser.next()
        if (attributes) this.#decide(attributes)
        this.#isBehind = attributes !== undefined && this.#parser.length > 0
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#close(error.message)
    }
    this.#note()
    const { socket, unsent } = this.#peer
    if (this.#isBehind && this.#parser.length > MOST_UNREAD_BYTES) socket.pause()
    else if (socket.isPaused() && unsent < MOST_UNREAD_BYTES) socket.resume()
    if (this.#isBehind && this.#mayDecide()) this.#workLater()
    if (this.#isFinishing && !this.isBusy) this.finish()
  }

  /** Not before everybody else had a turn, however much has been asked here. */
  #workLater(): void {
    if (this.#isDueLater) return
    this.#isDueLater = true
    this.#commons.later(() => {
      this.#isDueLater = false
      this.#work(MOST_WAITING)
    })
  }

  /** Of what is held, how it has changed. */
  #note(): void {
    const more = this.#parser.heldBytes - this.#held
    if (more === 0) return
    this.#held += more
    this.#commons.noteHeld(more)
  }

  #forget(): void {
    this.#isBehind = false
    this.#parser.clear()
    this.#note()
  }

  #send(verdict: Verdict, request: PolicyRequest): void {
    this.#unsent++
    if (verdict.silent) this.#isOver = true
    this.#conversation.turn(isDurable => this.#leave(verdict, request, isDurable))
  }

  #leave(verdict: Verdict, request: PolicyRequest, isDurable: boolean): void {
    this.#unsent--
    const settled = isDurable ? verdict : this.#conversation.unsettled(verdict, request)
    const peer = this.#peer
    if (!peer.isOpen) return
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
      this.#forget()
      // Nothing of it is looked at, but its end.
      peer.socket.resume()
      return
    }
    this.#armKeepalive()
    if (peer.unsent > MOST_UNREAD_BYTES) peer.socket.pause()
    if (this.#unsent === 0 && this.#isBehind) this.#workLater()
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
