/**
 * Exact counting: the ledger counts what Postfix accepts, once per message, by all limits or by none.
 *
 * A message is identified by Postfix's `instance` and its account. At RCPT its recipients are reserved;
 * at DATA or END-OF-MESSAGE the true amounts are committed and the reservations are released. A message
 * that is never completed gives its reservations back. A repeated request gets the same verdict and
 * counts nothing, also after a restart. The state table in daemon/ledger.md is the specification,
 * decision-table.ts is that table as a function, and test/ledger/ledger-model.ts its model.
 *
 * Reservations live in memory only. Commitments and decided messages go to the LedgerStore and are
 * durable once `settle` has returned; no answer may leave before that.
 */

import type { Period } from '../policy/calendar.ts'
import type {
  Claim,
  GivenBack,
  Judgement,
  Ledger,
  LedgerEvent,
  LoggedMessage,
  Preview,
  RequestedMessage,
  Rolling,
  Standing,
} from '../policy/ports/ledger.ts'
import { accountOf, type Decided, loggedKey, messageKey, queueKey } from './decided.ts'
import { DecidedMessages } from './decided-messages.ts'
import { amountOf, checkAmounts, decide, entryOf, limitOf } from './decision-table.ts'
import { countedIn, type Ended, endedOf, NOTHING_ENDED, releasedFor } from './ended.ts'
import { givingBack, isInWindow, type Line, linesOf, placeOf, standingsOf } from './lines.ts'
import { type Hold, NONE, needOf, type OpenMessage, OpenMessages } from './open-messages.ts'
import { bucketAt } from './period.ts'
import { Services } from './services.ts'
import type { LedgerStore } from './store.ts'
import { LedgerTally } from './tally.ts'

/** Messages that are replayed in one step. */
const REPLAYED_TOGETHER = 1000
/** Postfix uses a queue id again, but not so soon. */
const SAME_QUEUE_ID_MILLISECONDS = 3_600_000
/** The longest that smtpd waits for its proxy (smtpd_proxy_timeout, 100 s), and some. */
export const SAME_PROCESS_MILLISECONDS = 120_000

const nothing = (): void => undefined
const NOBODY = -1

/** Throws LookupError if the store cannot be read. */
export function openLedger(store: LedgerStore): LocalLedger {
  return new LocalLedger(store)
}

/** A ledger in this process: it answers at once. Its store may be exchanged for another one. */
export class LocalLedger implements Ledger {
  #store: LedgerStore
  readonly #open = new OpenMessages()
  readonly #services: Services
  readonly #decided = new DecidedMessages()
  readonly tally = new LedgerTally()
  /** The time, as far as is known here: a store must not be told of a moment in the past. */
  #now = 0

  constructor(store: LedgerStore) {
    this.#store = store
    this.#services = new Services(store.services())
    store.recall((message, one) => {
      this.#decided.recall(message, one)
      this.#now = Math.max(this.#now, one.at)
    })
  }

  judge(event: LedgerEvent): Judgement {
    if (event.stage !== 'RCPT') checkAmounts(event)
    this.#now = event.now
    const key = messageKey(event)
    const ended = this.#open.turnTo(event, key)
    if (ended !== NONE) this.#end(ended)
    this.#services.note(event.service, event.stage !== 'RCPT', this.#store)
    const before = this.#decided.find(key)
    switch (decide(before, event)) {
      case 'reserve':
        return this.#reserve(event, key)
      case 'repeat': {
        const { accepted, standings } = this.#repeated(before, event, NOTHING_ENDED)
        const takeBack = event.stage === 'RCPT' ? nothing : () => this.#takeBack(key, event.now)
        return { accepted, standings, repeated: true, isOverCap: false, takeBack }
      }
      case 'commit':
        return this.#count(event, key, undefined, before === undefined)
      case 'adjust':
        return this.#count(event, key, before, false)
    }
  }

  preview(event: LedgerEvent): Preview {
    if (event.stage !== 'RCPT') checkAmounts(event)
    const key = messageKey(event)
    const before = this.#decided.find(key)
    const decision = decide(before, event)
    const over = [...this.#open.endedBy(event, key)]
    if (decision === 'reserve') over.push(...this.#open.surplus(over))
    const ended = endedOf(over, this.#open, this.#services)
    switch (decision) {
      case 'reserve': {
        const message = over.includes(key) ? undefined : this.#open.get(key)
        return this.#atRecipient(event, message, ended)
      }
      case 'repeat':
        return this.#repeated(before, event, ended)
      case 'commit':
        return this.#foresee(event, undefined, ended)
      case 'adjust':
        return this.#foresee(event, before, ended)
    }
  }

  fitsAt(event: LedgerEvent, claim: Claim): number | undefined {
    const { stage, recipient, now } = event
    const { counter, subject, window, limit } = claim
    const key = messageKey(event)
    const isRecipient = stage === 'RCPT'
    const hold = isRecipient ? holdFor(this.#open.get(key), claim) : undefined
    const isHeld = hold && this.#open.get(key)?.recipients.get(recipient)?.includes(hold)
    const before = this.#decided.find(key)
    const counted = (before && entryOf(before, claim)?.amount) ?? 0
    const amount = isRecipient
      ? (hold?.amount ?? 0) + (isHeld ? 0 : needOf(claim.unit, hold))
      : amountOf(event, claim.unit)
    if (amount > limit) return undefined
    if ('endsAt' in window) return window.endsAt
    // What is reserved for other messages may be counted, and may be given back: it is waited for.
    const others = isRecipient ? this.#open.reservedFor(counter, subject) - (hold?.amount ?? 0) : 0
    const growth = Math.min(Math.max(0, amount - counted) + others, limit)
    return this.#store.fitsAt(this.#store.periods.of(counter, window), subject, growth, limit, now)
  }

  giveBack(message: LoggedMessage, at: number): GivenBack | undefined {
    const queue = loggedKey(message)
    const key = this.#decided.findQueued(queue)
    const known = key === undefined ? undefined : this.#decided.find(key)
    if (key === undefined || !known?.accepted || known.queue !== queue) return undefined
    const isProxied = 'account' in message
    if (isProxied && message.account !== accountOf(key)) return undefined
    const longest = isProxied ? SAME_PROCESS_MILLISECONDS : SAME_QUEUE_ID_MILLISECONDS
    if (Math.abs(at - known.at) > longest) return undefined
    const counted = known.entries.filter(({ amount }) => amount > 0)
    if (counted.length === 0) return undefined
    this.#uncount(key, known)
    return {
      account: accountOf(key),
      amounts: counted.map(({ period, subject, amount }) => ({
        counter: period.counter,
        subject,
        amount,
      })),
    }
  }

  takeBack(message: RequestedMessage, now: number): void {
    const key = messageKey(message)
    this.#open.remove(key)
    this.#services.note(message.service, true, this.#store)
    const known = this.#decided.find(key)
    if (!known?.entries.some(({ amount }) => amount > 0)) return
    this.#now = now
    this.#takeBack(key, now)
  }

  settle(): void {
    this.#store.settle()
  }

  disconnect(connection: number): void {
    this.#end(this.#open.leave(connection))
  }

  expire(now: number): void {
    this.#now = now
    this.#end(this.#open.unfinished(now))
  }

  used(counter: string, subject: string, window: Period | Rolling, now: number): number {
    return this.#store.used(this.#store.periods.of(counter, window), subject, now)
  }

  reset(counter: string, subject: string, window: Period | Rolling, now: number): number {
    this.#now = now
    const store = this.#store
    const period = store.periods.of(counter, window)
    const used = store.used(period, subject, now)
    store.clear(period, subject, now)
    // What a message has counted there is gone: it must not be given back from what comes after.
    for (const [message, decided] of this.#decided.withoutAmounts(period, subject)) {
      store.remember(message, decided, false)
    }
    return used
  }

  /** Messages between their first RCPT and their end. */
  get openMessages(): number {
    return this.#open.size
  }

  recipientOnlyServices(): readonly string[] {
    return this.#services.recipientOnly()
  }

  /** Counts in another store from now on. It must have the sums; `replay` passes on the rest. */
  moveTo(store: LedgerStore): void {
    this.#store = store
    this.#open.moveTo(store.periods)
    this.#decided.moveTo(store.periods)
  }

  /** Passes what is known of messages and services on to the store, in steps. Each throws as `settle`. */
  *replay(): Iterable<void> {
    for (const [service, asksAtEnd] of this.#services.all()) {
      this.#store.rememberService(service, asksAtEnd)
    }
    let replayed = 0
    for (const [message, decided] of this.#decided.all()) {
      this.#store.remember(message, decided, true)
      if (++replayed % REPLAYED_TOGETHER > 0) continue
      this.#store.settle()
      yield
    }
    this.#store.settle()
  }

  #reserve(event: LedgerEvent, key: string): Judgement {
    const open = this.#open
    const oldest = open.surplus()
    if (oldest !== NONE) this.#end(oldest)
    const message = open.get(key)
    const { accepted, standings, repeated, isOverCap } = this.#atRecipient(
      event,
      message,
      NOTHING_ENDED,
    )
    let takeBack = nothing
    if (repeated && message) message.touchedAt = event.now
    else if (accepted) {
      const { recipient } = event
      const added = open.reserve(event, key, this.#store.periods)
      takeBack = () => open.release(key, recipient, added)
    }
    return { accepted, standings, repeated, isOverCap, takeBack }
  }

  /** What a RCPT is answered. `message`: the open one. */
  #atRecipient(event: LedgerEvent, message: OpenMessage | undefined, ended: Ended): Preview {
    const { claims, now, mostRecipients } = event
    const held = message?.recipients.get(event.recipient)
    const isOverCap = !held && (message?.recipients.size ?? 0) >= mostRecipients
    const needs: number[] = []
    const standings: Standing[] = []
    let refused = NOBODY
    let repeated = held !== undefined
    for (let i = 0; i < claims.length; i++) {
      const claim = claims[i]
      if (!claim) continue
      const { counter, subject } = claim
      const period = this.#store.periods.of(counter, claim.window)
      const counted = countedIn(ended, period, subject, now) - releasedFor(ended, claim)
      const reserved = this.#open.reservedFor(counter, subject)
      const used = this.#store.used(period, subject, now) + reserved + counted
      const hold = holdFor(message, claim)
      const isHeld = hold !== undefined && held?.includes(hold) === true
      const need = isHeld ? 0 : needOf(claim.unit, hold)
      if (!isHeld) repeated = false
      if (refused < 0 && !isHeld && !isOverCap && used + need > limitOf(claim)) refused = i
      needs.push(need)
      standings.push({ accepted: i !== refused, used })
    }
    const accepted = refused < 0 && !isOverCap
    if (!accepted) return { accepted, standings, repeated, isOverCap }
    const including = standings.map(({ used }, i) => ({ accepted, used: used + (needs[i] ?? 0) }))
    return { accepted, standings: including, repeated, isOverCap }
  }

  /** The same verdict as before. */
  #repeated(before: Decided | undefined, event: LedgerEvent, ended: Ended): Preview {
    const { claims, now } = event
    const accepted = before?.accepted ?? true
    const standings = claims.map(claim => {
      const entry = before && entryOf(before, claim)
      const { period, subject } = placeOf(entry, claim, now, this.#store.periods)
      const used = this.#store.used(period, subject, now) + countedIn(ended, period, subject, now)
      return { accepted: accepted || claim.counter !== before?.refusedBy, used }
    })
    return { accepted, standings, repeated: true, isOverCap: false }
  }

  /** What `#count` would answer. */
  #foresee(event: LedgerEvent, before: Decided | undefined, ended: Ended): Preview {
    const { claims, now } = event
    const lines = linesOf(event, before, this.#store.periods)
    let refused = NOBODY
    for (const [i, line] of lines.entries()) {
      const { period, subject, growth, limit } = line
      line.used = this.#store.used(period, subject, now) + countedIn(ended, period, subject, now)
      if (refused < 0 && line.used + growth > limit) refused = i
    }
    const accepted = refused < 0
    for (const [i, line] of lines.entries()) {
      const claim = claims[i]
      const former = before && claim ? entryOf(before, claim) : undefined
      const isCounted = former && isInWindow(former.period, former.bucket, now)
      const refunded = isCounted ? former.amount : 0
      line.used = Math.max(0, line.used + (accepted ? line.growth : -refunded))
    }
    return { accepted, standings: standingsOf(lines, refused), repeated: false, isOverCap: false }
  }

  /**
   * Counts the message for all claims, or for none. `before`: how it was accepted; after DATA the new
   * amounts replace the first ones, where those were counted. An amount that has grown must be within
   * the limit like any other; else the message is refused as a whole, and counts nothing any more.
   */
  #count(event: LedgerEvent, key: string, before: Decided | undefined, isNew: boolean): Judgement {
    const store = this.#store
    const { claims, now } = event
    const lines = linesOf(event, before, store.periods)
    const refused = store.changeAll(lines, now)
    const accepted = refused < 0
    this.tally.judged(event, before, lines, accepted)
    if (!accepted) {
      if (before) store.changeAll(givingBack(before.entries), now)
      for (const line of lines) line.used = store.used(line.period, line.subject, now)
    }
    this.#open.remove(key)
    const queue = queueKey(event)
    const decided: Decided = {
      accepted,
      refusedBy: claims[refused]?.counter ?? '',
      stage:
        event.stage === 'END-OF-MESSAGE' || before?.stage === 'END-OF-MESSAGE'
          ? 'END-OF-MESSAGE'
          : 'DATA',
      at: now,
      // What an earlier stage has told of the message is still so.
      queue: queue === '' && !isNew ? (this.#decided.find(key)?.queue ?? '') : queue,
      entries: accepted ? withOthers(lines, before) : [],
    }
    this.#remember(key, event.account, decided, isNew)
    return {
      accepted,
      standings: standingsOf(lines, refused),
      repeated: false,
      isOverCap: false,
      takeBack: () => this.#takeBack(key, now),
    }
  }

  #takeBack(key: string, now: number): void {
    const known = this.#decided.find(key)
    if (known) this.#uncount(key, { ...known, at: now })
  }

  /** Leaves the message as after a DATA that counted nothing: the next amounts count in full. */
  #uncount(key: string, known: Decided): void {
    if (known.entries.some(({ amount }) => amount > 0)) this.tally.givenBack++
    this.#store.changeAll(givingBack(known.entries), this.#now)
    const { at, queue } = known
    this.#remember(
      key,
      accountOf(key),
      { accepted: true, refusedBy: '', stage: 'DATA', at, queue, entries: [] },
      false,
    )
  }

  #remember(key: string, account: string, decided: Decided, isNew: boolean): void {
    this.#store.remember(key, decided, isNew)
    this.#decided.remember(key, account, decided)
  }

  /** These messages are over without a judgement at their end. */
  #end(keys: readonly string[]): void {
    for (const key of keys) {
      const message = this.#open.remove(key)
      if (!message || !this.#services.noteMissedEnd(message.service, this.#store)) continue
      this.tally.ended(message.recipients.size)
      for (const { period, at, subject, amount } of message.holds) {
        if (amount === 0) continue
        const bucket = bucketAt(period, at)
        this.#store.addWithin(period, subject, bucket, amount, Infinity, this.#now)
      }
    }
  }
}

/** What is reserved for a message by a claim's counter. */
function holdFor(message: OpenMessage | undefined, { counter }: Claim): Hold | undefined {
  return message?.holds.find(hold => hold.counter === counter)
}

/** What was counted for claims that this event does not have stays as it is. */
function withOthers(lines: readonly Line[], before: Decided | undefined): Decided['entries'] {
  const others = before?.entries.filter(
    ({ period }) => !lines.some(line => line.period.counter === period.counter),
  )
  return others && others.length > 0 ? [...lines, ...others] : lines
}
