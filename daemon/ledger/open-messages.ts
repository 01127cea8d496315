/**
 * Messages between their first RCPT and their end, and what is reserved for them. In memory only: a
 * restart releases all reservations.
 *
 * Nothing here decides or counts: methods that name messages which are over change nothing, so that a
 * preview can use them; `remove` releases a message's reservations.
 */

import { ownText } from '../memory/own-text.ts'
import type { Claim, LedgerEvent, Unit } from '../policy/ports/ledger.ts'
import type { CountingPeriod, Periods } from './period.ts'

/** A message without any event for this long is over. */
export const UNFINISHED_MILLISECONDS = 3_600_000
/** Messages open at the same time; beyond, the oldest is over. 20,000 smtpd processes have fewer. */
export const MOST_OPEN = 100_000
/** Recipients reserved for all of them; beyond, the oldest message is over. */
export const MOST_RESERVED = 200_000

/** What is reserved for an open message with one counter. */
export interface Hold {
  readonly counter: string
  readonly subject: string
  readonly unit: Unit
  /** Where and when its last RCPT would count. */
  period: CountingPeriod
  at: number
  /** In the unit. */
  amount: number
}

export interface OpenMessage {
  readonly service: string
  /** What each was reserved for. Recipients that were reserved for the same share one list, which does not change. */
  readonly recipients: Map<string, readonly Hold[]>
  holds: readonly Hold[]
  touchedAt: number
}

/** No messages. */
export const NONE: readonly string[] = []
const NO_HOLDS: readonly Hold[] = []

/** What one more recipient of a message needs. `hold`: what is reserved for the message. */
export function needOf(unit: Unit, hold: Hold | undefined): number {
  if (unit === 'messages') return hold && hold.amount > 0 ? 0 : 1
  return unit === 'recipients' ? 1 : 0
}

export class OpenMessages {
  readonly #open = new Map<string, OpenMessage>()
  /** Reserved in all open messages, by counter and subject. */
  readonly #reserved = new Map<string, Map<string, number>>()
  #reservedInAll = 0
  /** The message that a connection is at: an SMTP client sends one at a time. */
  readonly #current = new Map<number, string>()

  get(key: string): OpenMessage | undefined {
    return this.#open.size > 0 ? this.#open.get(key) : undefined
  }

  get size(): number {
    return this.#open.size
  }

  /** Reserved for a subject, in the counter's unit. */
  reservedFor(counter: string, subject: string): number {
    return this.#reserved.get(counter)?.get(subject) ?? 0
  }

  /** The message that an event ends: its connection has turned to another one. */
  endedBy({ connection }: LedgerEvent, key: string): readonly string[] {
    const current = this.#current.get(connection)
    return current === undefined || current === key ? NONE : [current]
  }

  /** From now on the connection is at this message. Returns what that ends, as `endedBy`. */
  turnTo({ connection, stage }: LedgerEvent, key: string): readonly string[] {
    const isRecipient = stage === 'RCPT'
    if (!isRecipient && this.#current.size === 0) return NONE
    const current = this.#current.get(connection)
    if (current === key) return NONE
    if (isRecipient) this.#current.set(connection, ownText(key))
    else this.#current.delete(connection)
    return current === undefined ? NONE : [current]
  }

  /** The connection is closed. Its message is over. */
  leave(connection: number): readonly string[] {
    const current = this.#current.get(connection)
    this.#current.delete(connection)
    return current === undefined ? NONE : [current]
  }

  /** The oldest messages, as many as must be over before one more recipient is reserved. `gone` are over already. */
  surplus(gone: readonly string[] = NONE): readonly string[] {
    let messages = this.#open.size
    let recipients = this.#reservedInAll
    if (messages < MOST_OPEN && recipients < MOST_RESERVED) return NONE
    for (const key of gone) {
      const message = this.#open.get(key)
      messages -= message ? 1 : 0
      recipients -= message?.recipients.size ?? 0
    }
    const oldest: string[] = []
    for (const [key, message] of this.#open) {
      if (messages < MOST_OPEN && recipients < MOST_RESERVED) break
      if (gone.includes(key)) continue
      oldest.push(key)
      messages--
      recipients -= message.recipients.size
    }
    return oldest
  }

  unfinished(now: number): readonly string[] {
    const isOver = (message: OpenMessage): boolean =>
      Math.abs(now - message.touchedAt) > UNFINISHED_MILLISECONDS
    return [...this.#open].filter(([, message]) => isOver(message)).map(([key]) => key)
  }

  /** Reserves a recipient for each claim of the event that it is not reserved for. Returns what was added. */
  reserve(event: LedgerEvent, key: string, periods: Periods): readonly Hold[] {
    const { now, claims } = event
    const message = this.#open.get(key) ?? this.#begin(event, key)
    message.touchedAt = now
    const wanted = holdsOf(message, claims, periods)
    const held = message.recipients.get(event.recipient)
    const added = held ? wanted.filter(hold => !held.includes(hold)) : wanted
    for (const hold of added) {
      const claim = claims.find(({ counter }) => counter === hold.counter)
      if (claim) hold.period = periods.of(claim.counter, claim.window)
      hold.at = now
      this.#add(hold, needOf(hold.unit, hold))
    }
    if (!held) this.#reservedInAll++
    message.recipients.set(
      held ? event.recipient : ownText(event.recipient),
      held ? [...held, ...added] : wanted,
    )
    return added
  }

  /** Releases what one recipient was reserved for; the message is not open any more without one. */
  release(key: string, recipient: string, added: readonly Hold[]): void {
    const message = this.#open.get(key)
    const held = message?.recipients.get(recipient)
    if (!message || !held) return
    const left = held.filter(hold => !added.includes(hold))
    if (held.length > 0 && left.length === held.length) return
    if (left.length > 0) message.recipients.set(recipient, left)
    else {
      message.recipients.delete(recipient)
      this.#reservedInAll--
    }
    const others = [...message.recipients.values()]
    for (const hold of held) {
      if (!added.includes(hold)) continue
      if (hold.unit === 'recipients') this.#add(hold, -1)
      else if (!others.some(holds => holds.includes(hold))) this.#add(hold, -hold.amount)
    }
    if (message.recipients.size === 0) this.remove(key)
  }

  /** Releases all that is reserved for a message, which is not open any more. Its holds still say what was reserved. */
  remove(key: string): OpenMessage | undefined {
    const message = this.get(key)
    if (!message) return undefined
    this.#open.delete(key)
    this.#reservedInAll -= message.recipients.size
    for (const hold of message.holds) this.#change(hold, -hold.amount)
    return message
  }

  /** From now on, what is reserved would count in these periods. */
  moveTo(periods: Periods): void {
    for (const { holds } of this.#open.values()) {
      for (const hold of holds) {
        const { counter, name, bucketMilliseconds } = hold.period
        hold.period = periods.named(counter, name, bucketMilliseconds)
      }
    }
  }

  #begin({ connection, service, now }: LedgerEvent, key: string): OpenMessage {
    const message = { service, recipients: new Map(), holds: NO_HOLDS, touchedAt: now }
    // Usually `turnTo` has just kept it; comparing the very same text takes no time.
    const current = this.#current.get(connection)
    this.#open.set(current === key ? current : ownText(key), message)
    return message
  }

  #add(hold: Hold, amount: number): void {
    hold.amount += amount
    this.#change(hold, amount)
  }

  #change({ counter, subject }: Hold, amount: number): void {
    if (amount === 0) return
    let ofCounter = this.#reserved.get(counter)
    if (!ofCounter) {
      ofCounter = new Map()
      this.#reserved.set(counter, ofCounter)
    }
    const left = (ofCounter.get(subject) ?? 0) + amount
    if (left > 0) ofCounter.set(subject, left)
    else ofCounter.delete(subject)
  }
}

/** The holds of a message for these claims; those that are missing are added to it. */
function holdsOf(
  message: OpenMessage,
  claims: readonly Claim[],
  periods: Periods,
): readonly Hold[] {
  const { holds } = message
  const areSame =
    holds.length === claims.length &&
    holds.every(({ counter }, i) => counter === claims[i]?.counter)
  if (areSame) return holds
  const found = claims.map(
    ({ counter, subject, unit, window }) =>
      holds.find(hold => hold.counter === counter) ?? {
        counter,
        subject: ownText(subject),
        unit,
        period: periods.of(counter, window),
        at: 0,
        amount: 0,
      },
  )
  message.holds =
    holds.length === 0 ? found : [...holds, ...found.filter(hold => !holds.includes(hold))]
  return found
}
