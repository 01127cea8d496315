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
import { directSocket } from './direct-socket.ts'
import { RequestParser } from './parser.ts'
import { formatReply } from './reply.ts'
import type { Leave } from './turn.ts'

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

export interface OpenConnection {
  /** Something has been asked that is not answered yet. */
  readonly isBusy: boolean
  /** Nothing has been asked yet, so something is about to be. */
  readonly isNew: boolean
  /** Closes as soon as nothing is under way. */
  finish(): void
  destroy(): void
}

/** More than this unread by the peer, or waiting for an answer, and we stop reading. */
const MOST_UNREAD_BYTES = 64 * 1024
const MOST_WAITING = 64

export function serveConnection(
  accepted: Socket,
  connection: Connection,
  conversation: Conversation,
): OpenConnection {
  const peer = directSocket(accepted, receive)
  const { socket } = peer
  const parser = new RequestParser()
  const waiting: Attributes[] = []
  let isNew = true
  let isAnswering = false
  let unsent = 0
  let served = 0
  let isFinishing = false
  let reason = 'peer'
  let timer: NodeJS.Timeout | undefined

  function armKeepalive(): void {
    if (conversation.keepaliveSeconds === 0) return
    clearTimeout(timer)
    timer = setTimeout(() => {
      // A request under way is not idleness; its answer starts the time anew.
      if (!isAnswering && unsent === 0) close('keepalive timeout')
    }, conversation.keepaliveSeconds * 1000)
  }

  function close(why: string): void {
    if (reason === 'peer') reason = why
    socket.destroy()
  }

  function receive(bytes: Buffer, length: number): void {
    isNew = false
    let requests: Attributes[]
    try {
      requests = parser.push(bytes, length)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      close(error.message)
      return
    }
    const [first] = requests
    // As from Postfix, which asks one thing at a time.
    if (first && requests.length === 1 && waiting.length === 0 && mayDecide()) decide(first)
    else {
      for (const attributes of requests) waiting.push(attributes)
      work()
    }
  }

  /** Not two at a time, not too many in one turn, and none beyond what is answered here. */
  function mayDecide(): boolean {
    const { mostRequests } = conversation
    const isLast = mostRequests > 0 && served + unsent >= mostRequests
    return !isAnswering && unsent < MOST_WAITING && !isLast && peer.isOpen()
  }

  function decide(attributes: Attributes): void {
    const verdict = conversation.answer(new PolicyRequest(attributes, connection))
    if (!(verdict instanceof Promise)) {
      send(verdict)
      return
    }
    isAnswering = true
    verdict.then(
      decided => {
        isAnswering = false
        send(decided)
        work()
      },
      // `answer` handles its own failures; what comes here is a bug and must be loud.
      error => {
        close('internal error')
        throw error
      },
    )
  }

  /**
   * Decides what is waiting, one after the other; stops where a decision takes time, and after so
   * many in one turn: a packet of 64 KiB can hold a hundred requests.
   */
  function work(): void {
    while (waiting.length > 0 && mayDecide()) {
      const attributes = waiting.shift()
      if (attributes) decide(attributes)
    }
    if (waiting.length > MOST_WAITING) socket.pause()
    else if (socket.isPaused() && peer.unsent() < MOST_UNREAD_BYTES) socket.resume()
  }

  function send(verdict: Verdict): void {
    unsent++
    conversation.turn(isDurable => {
      unsent--
      if (!peer.isOpen()) return
      const settled = isDurable ? verdict : conversation.unsettled(verdict)
      if (settled.silent) {
        close('no answer')
        return
      }
      peer.send(formatReply(settled.action))
      served++
      if (conversation.mostRequests > 0 && served >= conversation.mostRequests) {
        reason = 'max_keepalive'
        peer.end()
        return
      }
      armKeepalive()
      if (peer.unsent() > MOST_UNREAD_BYTES) socket.pause()
      // Not before everybody else had a turn, however much has been asked here.
      if (unsent === 0 && waiting.length > 0) setImmediate(work)
      if (isFinishing) finish()
    })
  }

  const isBusy = (): boolean => isAnswering || unsent > 0 || (waiting.length > 0 && peer.isOpen())

  function finish(): void {
    isFinishing = true
    if (!isBusy()) {
      reason = 'stop'
      // Postfix holds its end of an idle connection for minutes: there is nothing to wait for.
      peer.end()
      socket.destroySoon()
    }
  }

  socket.on('drain', work)
  socket.on('end', () => {
    // Half-closed: what was asked is still answered.
    if (isBusy()) isFinishing = true
    else peer.end()
  })
  socket.on('error', error => {
    if (reason === 'peer') reason = error.message
  })
  socket.on('close', () => {
    clearTimeout(timer)
    conversation.closed(connection, reason)
  })
  armKeepalive()

  return {
    get isBusy() {
      return isBusy()
    },
    get isNew() {
      return isNew
    },
    finish,
    destroy: () => socket.destroy(),
  }
}
