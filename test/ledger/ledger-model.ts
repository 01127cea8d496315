/**
 * The state table of the ledger, written down as simply as possible: no transactions, no generations,
 * nothing fast. The real ledger is compared with it.
 */

import type { Claim, LedgerEvent, Unit } from '../../daemon/policy/ports/ledger.ts'

/** Where something counts: the sixtieths of a rolling window have numbers. */
interface Place {
  readonly counter: string
  readonly subject: string
  /** The first day of a calendar window, or the length of a rolling one in milliseconds. */
  readonly window: string | number
  readonly part: number
}

interface Entry extends Place {
  readonly amount: number
}

interface Reservation {
  readonly message: string
  readonly recipient: string
  readonly service: string
  readonly unit: Unit
  place: Place
}

interface Verdict {
  readonly accepted: boolean
  readonly refusedBy: string
  readonly isFinal: boolean
  readonly at: number
  readonly queue: string
  readonly entries: readonly Entry[]
}

export interface Answer {
  readonly accepted: boolean
  /** One for each claim. */
  readonly used: readonly number[]
  readonly refusedBy: string
  readonly repeated: boolean
  readonly isOverCap: boolean
  takeBack(): void
}

const HOUR = 3_600_000
const nothing = (): void => undefined

export class LedgerModel {
  counted: Entry[] = []
  decided = new Map<string, Verdict>()
  /** The message that had a queue id last. */
  queued = new Map<string, string>()
  reservations: Reservation[] = []
  /** When each open message was asked about. */
  touched = new Map<string, number>()
  current = new Map<number, string>()
  servicesThatAskAtEnd = new Set<string>()
  /** When it was told the time last. */
  now = 0

  judge(event: LedgerEvent): Answer {
    const { stage, connection, service, claims, now } = event
    const message = `${event.instance} ${event.account}`
    this.now = now
    const former = this.current.get(connection)
    if (former !== undefined && former !== message) this.over(former)
    if (former !== message) this.current.delete(connection)
    if (stage === 'RCPT') this.current.set(connection, message)
    else this.servicesThatAskAtEnd.add(service)

    const known = this.decided.get(message)
    // What was refused is new to whoever does not refuse.
    const refuser = claims.find(({ counter }) => counter === known?.refusedBy)
    const isRepeated = known?.accepted || (refuser && refuser.enforce !== false)
    const before = isRepeated ? known : undefined
    if (stage === 'RCPT') {
      if (!before) return this.#recipient(event, message)
      return this.#repeated(event, before, nothing)
    }
    const takeBack = () => this.#uncount(message, now)
    const isNews = (claim: Claim): boolean => {
      const entry = before?.entries.find(({ counter }) => counter === claim.counter)
      if (!entry || (entry.amount === 0 && amountOf(event, claim) > 0)) return true
      return !before?.isFinal && (stage !== 'DATA' || amountOf(event, claim) > entry.amount)
    }
    if (before && !(before.accepted && claims.some(isNews))) {
      return this.#repeated(event, before, takeBack)
    }
    return this.#count(event, message, before, takeBack)
  }

  #count(
    event: LedgerEvent,
    message: string,
    before: Verdict | undefined,
    takeBack: () => void,
  ): Answer {
    const { claims, now, stage } = event
    this.#release(message)
    const saved = [...this.counted]
    const entries = [...(before?.entries ?? [])]
    let refusedBy = ''
    const asked = claims.map(claim => {
      const index = entries.findIndex(({ counter }) => counter === claim.counter)
      const { entry, growth } = this.#next(event, claim, before, entries[index])
      const isAllowed =
        (growth <= 0 && index >= 0) || this.#usedAt(entry, now) + growth <= limitOf(claim)
      if (!isAllowed) refusedBy ||= claim.counter
      this.#add(entry, growth)
      if (index >= 0) entries[index] = entry
      else entries.push(entry)
      return entry
    })
    if (refusedBy !== '') {
      this.counted = saved
      this.#giveBack(before?.entries ?? [], now)
    }
    const asFinal = before?.isFinal || stage === 'END-OF-MESSAGE'
    const queue = event.queueId
    this.#remember(message, {
      accepted: refusedBy === '',
      refusedBy,
      isFinal: asFinal,
      at: now,
      queue: queue || (this.decided.get(message)?.queue ?? ''),
      entries: refusedBy === '' ? entries : [],
    })
    const used = asked.map(place => this.#usedAt(place, now))
    const accepted = refusedBy === ''
    return { accepted, used, refusedBy, repeated: false, isOverCap: false, takeBack }
  }

  /** What the message counts for a claim from now on, and by how much that is more. */
  #next(event: LedgerEvent, claim: Claim, before: Verdict | undefined, entry: Entry | undefined) {
    const here = placeOf(claim, event.now)
    const amount = amountOf(event, claim)
    if (!entry) return { entry: { ...here, amount }, growth: amount }
    const isKept = before?.isFinal || (event.stage === 'DATA' && amount <= entry.amount)
    if (entry.amount === 0) return { entry: { ...here, amount }, growth: amount }
    const growth = isKept ? 0 : amount - entry.amount
    if (counts(entry, event.now))
      return { entry: { ...entry, amount: entry.amount + growth }, growth }
    if (growth <= 0) return { entry, growth: 0 }
    return { entry: { ...here, amount: growth }, growth }
  }

  #repeated(event: LedgerEvent, before: Verdict, takeBack: () => void): Answer {
    const used = event.claims.map(claim => {
      const entry = before.entries.find(({ counter }) => counter === claim.counter)
      const place = entry && entry.amount > 0 ? entry : placeOf(claim, event.now)
      return this.#usedAt(place, event.now)
    })
    const { accepted, refusedBy } = before
    return { accepted, used, refusedBy, repeated: true, isOverCap: false, takeBack }
  }

  #recipient(event: LedgerEvent, message: string): Answer {
    const { recipient, service, claims, now } = event
    const mine = this.reservations.filter(held => held.message === message)
    const isKnown = mine.some(held => held.recipient === recipient)
    const missing = claims.filter(
      ({ counter }) =>
        !mine.some(held => held.recipient === recipient && held.place.counter === counter),
    )
    const needOf = (claim: Claim): number => {
      const isThere = mine.some(held => held.place.counter === claim.counter)
      if (!missing.includes(claim) || claim.unit === 'bytes') return 0
      return claim.unit === 'messages' && isThere ? 0 : 1
    }
    const before = claims.map(
      claim => this.#usedAt(placeOf(claim, now), now) + this.#reserved(claim),
    )
    const refuser = missing.find(claim => {
      const used = before[claims.indexOf(claim)] ?? 0
      return used + needOf(claim) > limitOf(claim)
    })
    const isOverCap =
      !isKnown && new Set(mine.map(held => held.recipient)).size >= event.mostRecipients
    const repeated = isKnown && missing.length === 0
    if (isOverCap || refuser) {
      const refusedBy = isOverCap || !refuser ? '' : refuser.counter
      return { accepted: false, used: before, refusedBy, repeated, isOverCap, takeBack: nothing }
    }
    this.touched.set(message, now)
    const used = claims.map((claim, i) => (before[i] ?? 0) + needOf(claim))
    const added = missing.map(claim => {
      const place = placeOf(claim, now)
      const first = mine.find(held => held.place.counter === claim.counter)
      for (const held of mine) {
        if (held.place.counter !== claim.counter) continue
        held.place = { ...place, subject: held.place.subject }
      }
      const { subject } = first?.place ?? claim
      const { unit } = first ?? claim
      return { message, recipient, service, unit, place: { ...place, subject } }
    })
    this.reservations.push(...added)
    const takeBack = () => {
      this.reservations = this.reservations.filter(held => !added.includes(held))
    }
    return { accepted: true, used, refusedBy: '', repeated, isOverCap, takeBack }
  }

  /** What is given back, in the order of the claims. */
  giveBack(queue: string, at: number): Entry[] | undefined {
    const message = this.queued.get(queue)
    const verdict = message === undefined ? undefined : this.decided.get(message)
    if (message === undefined || !verdict?.accepted || verdict.queue !== queue) return undefined
    const given = verdict.entries.filter(({ amount }) => amount > 0)
    if (Math.abs(at - verdict.at) > HOUR || given.length === 0) return undefined
    this.#uncount(message, verdict.at)
    return given
  }

  #uncount(message: string, at: number): void {
    const verdict = this.decided.get(message)
    if (!verdict) return
    this.#giveBack(verdict.entries, this.now)
    const { queue } = verdict
    this.#remember(message, {
      accepted: true,
      refusedBy: '',
      isFinal: false,
      at,
      queue,
      entries: [],
    })
  }

  #remember(message: string, verdict: Verdict): void {
    this.decided.set(message, verdict)
    if (verdict.queue !== '') this.queued.set(verdict.queue, message)
  }

  /** The message is completed or aborted; where no request comes at its end, nobody can tell which. */
  over(message: string): void {
    const mine = this.reservations.filter(held => held.message === message)
    this.#release(message)
    const mails = new Set<string>()
    for (const { service, unit, place } of mine) {
      if (this.servicesThatAskAtEnd.has(service)) continue
      const isFirst = !mails.has(place.counter)
      mails.add(place.counter)
      const isOne = unit === 'recipients' || (unit === 'messages' && isFirst)
      if (isOne && counts(place, this.now)) this.#add(place, 1)
    }
  }

  disconnect(connection: number): void {
    const message = this.current.get(connection)
    this.current.delete(connection)
    if (message !== undefined) this.over(message)
  }

  expire(now: number): void {
    this.now = now
    for (const { message } of [...this.reservations]) {
      if (Math.abs(now - (this.touched.get(message) ?? now)) > HOUR) this.over(message)
    }
  }

  restart(): void {
    this.reservations = []
    this.current.clear()
    this.now = Math.max(0, ...[...this.decided.values()].map(({ at }) => at))
  }

  /** What was counted, which counts no more. */
  reset(claim: Claim, now: number): number {
    const used = this.used(claim, now)
    const { counter, subject, window } = placeOf(claim, now)
    const isThere = (one: Place): boolean =>
      one.counter === counter && one.subject === subject && one.window === window
    this.now = now
    this.counted = this.counted.filter(one => !isThere(one))
    for (const [message, verdict] of this.decided) {
      if (!verdict.entries.some(one => isThere(one) && one.amount > 0)) continue
      const entries = verdict.entries.map(one => (isThere(one) ? { ...one, amount: 0 } : one))
      const queue = this.queued.get(verdict.queue) === message ? verdict.queue : ''
      this.decided.set(message, { ...verdict, queue, entries })
    }
    return used
  }

  used(claim: Claim, now: number): number {
    return this.#usedAt(placeOf(claim, now), now)
  }

  #release(message: string): void {
    this.reservations = this.reservations.filter(held => held.message !== message)
  }

  /** Reserved for a claim's subject; a message is one, however many recipients it has. */
  #reserved({ counter, subject }: Claim): number {
    const held = this.reservations.filter(
      ({ place }) => place.counter === counter && place.subject === subject,
    )
    const recipients = held.filter(({ unit }) => unit === 'recipients').length
    const mails = held.filter(({ unit }) => unit === 'messages').map(({ message }) => message)
    return recipients + new Set(mails).size
  }

  #usedAt(place: Place, now: number): number {
    return this.counted
      .filter(one => isSame(one, { ...place, part: one.part }) && counts(one, now))
      .reduce((sum, { amount }) => sum + amount, 0)
  }

  #add(place: Place, count: number): void {
    if (count === 0) return
    const before = this.counted.find(one => isSame(one, place))
    this.counted = this.counted.filter(one => one !== before)
    const { counter, subject, window, part } = place
    this.counted.push({ counter, subject, window, part, amount: (before?.amount ?? 0) + count })
  }

  #giveBack(entries: readonly Entry[], now: number): void {
    // Without effect where it has left the window.
    for (const entry of entries) if (counts(entry, now)) this.#add(entry, -entry.amount)
  }
}

function placeOf({ counter, subject, window }: Claim, now: number): Place {
  if ('name' in window) return { counter, subject, window: window.name, part: 0 }
  const { milliseconds } = window
  return { counter, subject, window: milliseconds, part: Math.floor(now / (milliseconds / 60)) }
}

/** Is it in the window that ends at `now`? */
function counts({ window, part }: Place, now: number): boolean {
  return typeof window === 'string' || part >= Math.floor(now / (window / 60)) - 60
}

function isSame(one: Place, other: Place): boolean {
  return (
    one.counter === other.counter &&
    one.subject === other.subject &&
    one.window === other.window &&
    one.part === other.part
  )
}

function amountOf({ recipients, bytes }: LedgerEvent, { unit }: Claim): number {
  if (unit === 'messages') return 1
  return unit === 'bytes' ? bytes : Math.max(1, recipients)
}

function limitOf({ limit, enforce }: Claim): number {
  return enforce === false ? Number.POSITIVE_INFINITY : limit
}
