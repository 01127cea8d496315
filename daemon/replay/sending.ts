/**
 * How much accounts have sent: per calendar day, and per hour of the clock. From records, or from the sums
 * of the history; of accounts that have logged in.
 */

import { ownText } from '../memory/own-text.ts'
import { accountName } from '../policy/account.ts'
import { calendar } from '../policy/calendar.ts'
import type { HourSums } from '../policy/ports/history.ts'
import type { Recorded } from './record.ts'

/** Names are made up by anybody who may log in; of those beyond, nothing is known. */
const MOST_ACCOUNTS = 100_000
/** Sums up to this are not kept one by one: no limit is as low. */
export const LOWEST_HOUR = 10
const HOUR = 3_600_000
/** Every time zone's days begin at one of these. */
const QUARTER = HOUR / 4

/** An hour of the clock. */
export interface HourSent {
  /** The name of the day it is on. */
  readonly day: string
  readonly recipients: number
}

/** What one account has sent. Days and hours in which it sent nothing are not in it. */
export interface Sent {
  readonly account: string
  /** Recipients of each day, by the day's name, `2026-11-20`. */
  readonly days: ReadonlyMap<string, number>
  /** Each hour that has more than LOWEST_HOUR recipients. */
  readonly hours: readonly HourSent[]
  readonly largestHour: number
}

class Account implements Sent {
  readonly account: string
  readonly days = new Map<string, number>()
  readonly hours: HourSent[] = []
  largestHour = 0
  #hour = 0
  #inHour = 0
  #day = ''
  lastInstance = ''

  constructor(account: string) {
    this.account = account
  }

  addHour(day: string, recipients: number): void {
    this.largestHour = Math.max(this.largestHour, recipients)
    if (recipients > LOWEST_HOUR) this.hours.push({ day, recipients })
  }

  addDay(day: string, recipients: number): void {
    this.days.set(day, (this.days.get(day) ?? 0) + recipients)
  }

  /** In the order of time. */
  addMessage(hour: number, day: string, recipients: number): void {
    if (hour !== this.#hour) this.endHour()
    this.#hour = hour
    this.#day = day
    this.#inHour += recipients
  }

  endHour(): void {
    if (this.#inHour > 0) this.addHour(this.#day, this.#inHour)
    this.#inHour = 0
  }
}

/** A trace has one message's requests of several stages: the last stage that there is tells what was sent. */
const STAGES = ['END-OF-MESSAGE', 'DATA', 'RCPT'] as const

export class Sending {
  readonly #dayOf: (at: number) => string
  readonly #defaultDomain: string
  readonly #stages = new Map<string, Map<string, Account>>()
  #from = Number.POSITIVE_INFINITY
  #to = Number.NEGATIVE_INFINITY

  /** `timezone`: of the days, an IANA name; undefined is the host's. Throws RangeError for an unknown one. */
  constructor(timezone: string | undefined, defaultDomain: string) {
    this.#dayOf = namedDays(timezone)
    this.#defaultDomain = defaultDomain
  }

  /** In the order of time. */
  add({ t, attributes }: Recorded): void {
    const login = attributes.get('sasl_username') ?? ''
    const stage = attributes.get('protocol_state') ?? ''
    if (login === '') return
    this.#reach(t)
    const found = this.#find(stage, accountName(login, this.#defaultDomain))
    if (!found) return
    const instance = attributes.get('instance') ?? ''
    const isRecipient = stage === 'RCPT'
    // The same message again counts once.
    if (!isRecipient && instance !== '' && instance === found.lastInstance) return
    found.lastInstance = ownText(instance)
    const recipients = isRecipient ? 1 : Math.max(1, Number(attributes.get('recipient_count')) || 0)
    const day = this.#dayOf(t)
    found.addMessage(Math.floor(t / HOUR), day, recipients)
    found.addDay(day, recipients)
  }

  /** In any order, but each hour of an account once. */
  addHour({ account, hour, recipients }: HourSums): void {
    if (account === '' || recipients === 0) return
    this.#reach(hour)
    const found = this.#find(STAGES[0], accountName(account, this.#defaultDomain))
    const day = this.#dayOf(hour)
    found?.addHour(day, recipients)
    found?.addDay(day, recipients)
  }

  /** Times of the first and the last message, milliseconds since 1970; undefined: there was none. */
  get period(): { readonly from: number; readonly to: number } | undefined {
    return this.#from <= this.#to ? { from: this.#from, to: this.#to } : undefined
  }

  get accounts(): readonly Sent[] {
    const stage = STAGES.find(one => this.#stages.has(one))
    const found = [...(this.#stages.get(stage ?? '')?.values() ?? [])]
    for (const one of found) one.endHour()
    return found
  }

  #reach(at: number): void {
    this.#from = Math.min(this.#from, at)
    this.#to = Math.max(this.#to, at)
  }

  #find(stage: string, account: string): Account | undefined {
    if (!STAGES.some(one => one === stage)) return undefined
    const accounts = this.#stages.get(stage) ?? new Map<string, Account>()
    this.#stages.set(stage, accounts)
    const known = accounts.get(account)
    if (known || accounts.size >= MOST_ACCOUNTS) return known
    // The account's name may be part of a block of lines.
    const added = new Account(ownText(account))
    accounts.set(added.account, added)
    return added
  }
}

/** For times in any order: the calendar itself remembers the last one only. */
function namedDays(timezone: string | undefined): (at: number) => string {
  const dayOf = calendar(timezone)
  const names = new Map<number, string>()
  return at => {
    const quarter = Math.floor(at / QUARTER)
    const known = names.get(quarter)
    if (known !== undefined) return known
    const { name } = dayOf(at)
    names.set(quarter, name)
    return name
  }
}
