/**
 * Exact counting: the ledger counts what Postfix accepts, once per message.
 *
 * A message is known by Postfix's `instance`. At RCPT its recipients are reserved, at DATA or
 * END-OF-MESSAGE the true number is committed and the reservations go; a message that is never
 * completed gives its reservations back. The same question asked again gets the same verdict and
 * counts nothing, also after a restart. The state table in daemon/README.md is the specification and
 * test/policy/ledger.test.ts its executable form.
 *
 * Reservations live in memory alone. Commitments and decided messages go to the LedgerStore and
 * are durable when `settle` has returned; no answer may leave before that.
 */

import { type Decided, DecidedMessages, type Known } from './decided.ts'
import type { Name } from './name.ts'
import { ownText } from './own-text.ts'
import type { Day } from './window.ts'

/** One event of a message, as a policy request reports it. */
export interface LedgerEvent {
  /** Name of the counter; several limits may keep separate counts. */
  readonly scope: string
  /** Folded user name. */
  readonly account: string
  readonly stage: 'RCPT' | 'DATA' | 'END-OF-MESSAGE'
  readonly instance: string
  /** The policy connection, unique in the life of the process. */
  readonly connection: number
  /** `server_address:server_port`, the SMTP service that asks. */
  readonly service: string
  readonly recipient: string
  /** `recipient_count`: 0 is taken as 1. */
  readonly recipients: number
  /** Recipients allowed per day; Infinity for no limit. */
  readonly limit: number
  readonly day: Day
  /** Milliseconds since 1970. */
  readonly now: number
}

export interface Judgement {
  readonly accepted: boolean
  /** Recipients counted in the window, this event included; at RCPT, reserved ones too. */
  readonly used: number
  /** Was this very message judged before? Then nothing was counted now. */
  readonly repeated: boolean
  /**
   * For an answer that lets nothing through after all: nothing of the message, or of this recipient,
   * is counted then, and what is asked next is judged anew. Throws as `judge`.
   */
  readonly takeBack: () => void
}

/** What callers see. Another store (Redis) may implement it whole, hence the promises. */
export interface Ledger {
  judge(event: LedgerEvent): Judgement | Promise<Judgement>
  /** Makes everything judged so far durable. Rejects or throws if that fails; it counts all the same, and is tried again with the next. */
  settle(): void | Promise<void>
  /** The connection is gone: its unfinished message is over. */
  disconnect(connection: number): void
  /** Gives up what has been unfinished for too long. Call now and then. */
  expire(now: number): void
  /** Recipients counted for an account on a day, without reservations. */
  used(scope: string, account: string, day: string): number | Promise<number>
  /** SMTP services that have only ever asked at RCPT: there aborted messages are counted too. */
  recipientOnlyServices(): readonly string[]
}

/** A ledger whose store may give way to another one. */
export interface StoredLedger extends Ledger {
  /** Tells the store again what is known of messages and services: in steps, each throws as `settle`. */
  retell(now: number): Iterable<void>
}

/**
 * Durable part of the ledger. Synchronous: all calls between two `settle` are one transaction.
 * Every method throws LookupError if the store does not work.
 */
export interface LedgerStore {
  used(scope: string, account: string, day: string): number
  /** Adds `count` if the sum stays within `limit`; the new sum, or undefined if it would not. */
  addWithin(
    scope: string,
    account: string,
    day: string,
    count: number,
    limit: number,
  ): number | undefined
  /** `isNew`: it was not judged before. */
  remember(message: Name, decided: Decided, isNew: boolean): void
  /** Tells the bytes of the names of the newest `REMEMBERED` messages, oldest first, and how they were judged. */
  recall(tell: (message: Uint8Array, decided: Decided) => void): void
  /** Services that have asked at DATA or END-OF-MESSAGE, and those that asked at RCPT alone. */
  services(): Iterable<readonly [service: string, asksAtEnd: boolean]>
  rememberService(service: string, asksAtEnd: boolean): void
  /** Throws if the disk takes nothing; what was to be written is kept for the next time. */
  settle(): void
}

/** A message without any event for this long is over. */
export const UNFINISHED_MILLISECONDS = 3_600_000
/** So many messages of a service in a row without a question at their end, and it no longer asks there. */
export const MISSED_ENDS = 50
/** Different services remembered; a service is a local address and port, so few exist. */
const MOST_SERVICES = 1000
/** Of messages that are told again, in one step. */
const TOLD_TOGETHER = 1000

/** Messages that are open at once; of more, the oldest is over. 20,000 smtpd processes have no more. */
export const MOST_OPEN = 100_000
/** Recipients of all of them; of more, those of the oldest message go with it. */
export const MOST_RESERVED = 200_000
/** Of them under one instance on one connection: one for each counter. More accounts are invented. */
export const MOST_OF_AN_INSTANCE = 100

/** A message between its first RCPT and its end. */
interface OpenMessage {
  readonly scope: string
  readonly account: string
  readonly service: string
  readonly recipients: Set<string>
  /** The day of its last RCPT. */
  day: string
  touchedAt: number
}

const nothing = (): void => undefined

/** Of its own: what is joined holds on to its parts, and they to the whole request. */
const keyOf = (scope: string, name: string): string => ownText(`${scope}\n${name}`)

/** Throws RangeError: a sum that is no number any more would be one for good. */
function recipientsOf({ recipients }: LedgerEvent): number {
  if (!Number.isSafeInteger(recipients)) {
    throw new RangeError(`${recipients} is no number of recipients`)
  }
  return Math.max(1, recipients)
}

export function openLedger(store: LedgerStore): StoredLedger {
  const open = new Map<string, OpenMessage>()
  /** Recipients reserved per scope and account, over all open messages. */
  const reserved = new Map<string, number>()
  let reservedInAll = 0
  /** The message a connection has asked about at RCPT, and what was reserved for it. */
  const current = new Map<number, { readonly instance: string; readonly keys: Set<string> }>()
  const services = new Map<string, boolean>(store.services())
  /** Messages in a row that a service has not asked about at their end. */
  const missedEnds = new Map<string, number>()
  const decided = new DecidedMessages()
  store.recall((message, one) => decided.recall(message, one))

  function judge(event: LedgerEvent): Judgement {
    // Without a reservation there is nothing to find under it. Another account is another message.
    const isNeeded = event.stage === 'RCPT' || open.size > 0
    const key = isNeeded ? keyOf(event.scope, `${event.account}\n${event.instance}`) : ''
    followConnection(event, key)
    noteService(event.service, event.stage !== 'RCPT')
    const message = decided.named(event.scope, event.account, event.instance)
    const before = decided.find(message)
    if (event.stage === 'RCPT') return before ? repeat(before, event) : reserve(event, key)
    if (before) {
      // DATA refused by a later rule leaves the message open: more RCPT and another DATA may follow.
      const isSame = event.stage === 'DATA' && recipientsOf(event) <= before.counted
      const isFinal = before.stage === 'END-OF-MESSAGE' || isSame
      return isFinal || !before.accepted ? repeat(before, event) : adjust(before, event, message)
    }
    return commit(event, key, message)
  }

  function repeat({ accepted, day }: Known, event: LedgerEvent): Judgement {
    const used = store.used(event.scope, event.account, day)
    const takeBack = event.stage === 'RCPT' ? nothing : () => uncount(event)
    return { accepted, used, repeated: true, takeBack }
  }

  function reserve(event: LedgerEvent, key: string): Judgement {
    makeRoom()
    const message = open.get(key)
    const accountKey = keyOf(event.scope, event.account)
    const held = reserved.get(accountKey) ?? 0
    const used = store.used(event.scope, event.account, event.day.name) + held
    if (message?.recipients.has(event.recipient)) {
      message.touchedAt = event.now
      return { accepted: true, used, repeated: true, takeBack: nothing }
    }
    if (used + 1 > event.limit) return { accepted: false, used, repeated: false, takeBack: nothing }
    if (message) {
      message.recipients.add(ownText(event.recipient))
      message.day = event.day.name
      message.touchedAt = event.now
    } else {
      open.set(key, {
        scope: event.scope,
        account: ownText(event.account),
        service: event.service,
        recipients: new Set([ownText(event.recipient)]),
        day: event.day.name,
        touchedAt: event.now,
      })
    }
    reserved.set(accountKey, held + 1)
    reservedInAll++
    const takeBack = (): void => unreserve(key, event.recipient)
    return { accepted: true, used: used + 1, repeated: false, takeBack }
  }

  /** For one more recipient of one more message. */
  function makeRoom(): void {
    while (open.size >= MOST_OPEN || reservedInAll >= MOST_RESERVED) {
      const [oldest] = open.keys()
      if (oldest === undefined) return
      release(oldest)
    }
  }

  function commit(event: LedgerEvent, key: string, message: Name): Judgement {
    const count = recipientsOf(event)
    const used = store.addWithin(event.scope, event.account, event.day.name, count, event.limit)
    dropReservations(key)
    const accepted = used !== undefined
    const counted = accepted ? count : 0
    const day = event.day.name
    const stage = event.stage === 'DATA' ? 'DATA' : 'END-OF-MESSAGE'
    remember(message, { day, accepted, counted, stage, at: event.now }, true)
    return {
      accepted,
      used: used ?? store.used(event.scope, event.account, event.day.name),
      repeated: false,
      takeBack: () => uncount(event),
    }
  }

  /**
   * After DATA: the newer number replaces the first one, on the day it was counted. One that has
   * grown must be within the limit like any other; else the message is refused and counts nothing.
   */
  function adjust(before: Known, event: LedgerEvent, message: Name): Judgement {
    const { scope, account } = event
    // One that has come to nothing so far has no day of its own.
    const day = before.counted > 0 ? before.day : event.day.name
    const count = recipientsOf(event)
    const growth = count - before.counted
    const limit = growth > 0 ? event.limit : Number.POSITIVE_INFINITY
    const accepted = store.addWithin(scope, account, day, growth, limit) !== undefined
    if (!accepted) store.addWithin(scope, account, day, -before.counted, Number.POSITIVE_INFINITY)
    const stage = event.stage === 'DATA' ? 'DATA' : 'END-OF-MESSAGE'
    const counted = accepted ? count : 0
    remember(message, { day, accepted, counted, stage, at: event.now }, false)
    const used = store.used(scope, account, day)
    return { accepted, used, repeated: false, takeBack: () => uncount(event) }
  }

  /** The message is as after a DATA that came to nothing: whatever number comes next counts in full. */
  function uncount({ scope, account, instance, now }: LedgerEvent): void {
    const message = decided.named(scope, account, instance)
    const known = decided.find(message)
    if (!known) return
    const { day, counted } = known
    if (counted > 0) store.addWithin(scope, account, day, -counted, Number.POSITIVE_INFINITY)
    remember(message, { day, accepted: true, counted: 0, stage: 'DATA', at: now }, false)
  }

  function remember(message: Name, one: Decided, isNew: boolean): void {
    store.remember(message, one, isNew)
    decided.remember(message, one)
  }

  /** A connection that asks about another message has finished or dropped the one before. */
  function followConnection(event: LedgerEvent, key: string): void {
    if (current.size === 0 && event.stage !== 'RCPT') return
    const last = current.get(event.connection)
    const isSame = last?.instance === event.instance
    if (last && !isSame) {
      current.delete(event.connection)
      for (const old of last.keys) release(old)
    }
    if (event.stage !== 'RCPT') return
    if (isSame) {
      last.keys.add(key)
      const [oldest] = last.keys
      if (last.keys.size > MOST_OF_AN_INSTANCE && oldest !== undefined) {
        last.keys.delete(oldest)
        release(oldest)
      }
    } else {
      const instance = ownText(event.instance)
      current.set(event.connection, { instance, keys: new Set([key]) })
    }
  }

  function noteService(service: string, asksAtEnd: boolean): void {
    const known = services.get(service)
    if (asksAtEnd && missedEnds.size > 0) missedEnds.delete(service)
    if (known === true || known === asksAtEnd) return
    if (known === undefined && services.size >= MOST_SERVICES) return
    services.set(service, asksAtEnd)
    store.rememberService(service, asksAtEnd)
  }

  /** The message is over without a judgement at its end. */
  function release(key: string): void {
    const message = open.get(key)
    if (!message) return
    const count = message.recipients.size
    dropReservations(key)
    if (services.get(message.service) === true) noteMissedEnd(message.service)
    if (services.get(message.service) === false) {
      store.addWithin(message.scope, message.account, message.day, count, Number.POSITIVE_INFINITY)
    }
  }

  /** Aborted messages are normal; nothing but aborted messages means that Postfix was set up anew. */
  function noteMissedEnd(service: string): void {
    const missed = (missedEnds.get(service) ?? 0) + 1
    missedEnds.set(service, missed)
    if (missed < MISSED_ENDS) return
    missedEnds.delete(service)
    services.set(service, false)
    store.rememberService(service, false)
  }

  function unreserve(key: string, recipient: string): void {
    const message = open.get(key)
    if (!message?.recipients.delete(recipient)) return
    giveBack(message, 1)
    if (message.recipients.size === 0) open.delete(key)
  }

  function dropReservations(key: string): void {
    const message = open.get(key)
    if (!message) return
    open.delete(key)
    giveBack(message, message.recipients.size)
  }

  function giveBack({ scope, account }: OpenMessage, count: number): void {
    const key = keyOf(scope, account)
    reservedInAll -= count
    const left = (reserved.get(key) ?? 0) - count
    if (left > 0) reserved.set(key, left)
    else reserved.delete(key)
  }

  return {
    judge,

    settle() {
      store.settle()
    },

    *retell(at) {
      for (const [service, asksAtEnd] of services) store.rememberService(service, asksAtEnd)
      let told = 0
      for (const [message, known] of decided.all()) {
        store.remember(message, { ...known, at }, true)
        if (++told % TOLD_TOGETHER > 0) continue
        store.settle()
        yield
      }
      store.settle()
    },

    disconnect(connection) {
      const last = current.get(connection)
      if (!last) return
      current.delete(connection)
      for (const key of last.keys) release(key)
    },

    expire(at) {
      for (const [key, message] of open) {
        if (Math.abs(at - message.touchedAt) > UNFINISHED_MILLISECONDS) release(key)
      }
    },

    used: (scope, account, day) => store.used(scope, account, day),

    recipientOnlyServices: () =>
      [...services].filter(([, asksAtEnd]) => !asksAtEnd).map(([service]) => service),
  }
}
