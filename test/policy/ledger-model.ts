/**
 * The state table of the ledger, written down as simply as it can be said: no transactions, no
 * generations, nothing fast. What the real ledger is compared with.
 */

import type { LedgerEvent } from '../../daemon/policy/ledger.ts'

interface Reservation {
  readonly instance: string
  readonly account: string
  readonly recipient: string
  readonly service: string
  day: string
}

interface Verdict {
  readonly accepted: boolean
  readonly counted: number
  readonly isFinal: boolean
  readonly account: string
  readonly day: string
}

export class LedgerModel {
  used = new Map<string, number>()
  decided = new Map<string, Verdict>()
  reservations: Reservation[] = []
  current = new Map<number, string>()
  servicesThatAskAtEnd = new Set<string>()

  judge(event: LedgerEvent): { accepted: boolean; used: number } {
    const { account, instance, connection, service } = event
    const day = event.day.name
    const former = this.current.get(connection)
    if (former !== undefined && former !== instance) this.over(former)
    this.current.set(connection, instance)
    if (event.stage !== 'RCPT') this.servicesThatAskAtEnd.add(service)

    const before = this.decided.get(instance)
    const count = Math.max(1, event.recipients)
    if (event.stage === 'RCPT') {
      if (before) return this.#answer(before.accepted, before.account, before.day)
      return this.#recipient(event)
    }
    if (before) {
      const growth = count - before.counted
      const isNews = event.stage === 'END-OF-MESSAGE' || growth > 0
      if (!before.accepted || before.isFinal || !isNews) {
        return this.#answer(before.accepted, before.account, before.day)
      }
      const accepted =
        growth <= 0 || this.#usedBy(before.account, before.day) + growth <= event.limit
      this.#add(before.account, before.day, accepted ? growth : -before.counted)
      const isFinal = event.stage === 'END-OF-MESSAGE'
      this.decided.set(instance, { ...before, accepted, counted: accepted ? count : 0, isFinal })
      return this.#answer(accepted, before.account, before.day)
    }
    this.reservations = this.reservations.filter(held => held.instance !== instance)
    const accepted = this.#usedBy(account, day) + count <= event.limit
    if (accepted) this.#add(account, day, count)
    const isFinal = event.stage === 'END-OF-MESSAGE'
    this.decided.set(instance, { accepted, counted: accepted ? count : 0, isFinal, account, day })
    return this.#answer(accepted, account, day)
  }

  #recipient({ account, instance, recipient, service, limit, day }: LedgerEvent) {
    const mine = this.reservations.filter(held => held.instance === instance)
    const reserved = this.reservations.filter(held => held.account === account).length
    const total = this.#usedBy(account, day.name) + reserved
    if (mine.some(held => held.recipient === recipient)) return { accepted: true, used: total }
    if (total + 1 > limit) return { accepted: false, used: total }
    this.reservations.push({ instance, account, recipient, service, day: day.name })
    for (const held of mine) held.day = day.name
    return { accepted: true, used: total + 1 }
  }

  /** The message is completed or aborted; where nobody ever asks at its end, nobody can tell which. */
  over(instance: string): void {
    for (const held of this.reservations.filter(one => one.instance === instance)) {
      if (!this.servicesThatAskAtEnd.has(held.service)) this.#add(held.account, held.day, 1)
    }
    this.reservations = this.reservations.filter(one => one.instance !== instance)
  }

  disconnect(connection: number): void {
    const instance = this.current.get(connection)
    this.current.delete(connection)
    if (instance !== undefined) this.over(instance)
  }

  expireAll(): void {
    for (const { instance } of [...this.reservations]) this.over(instance)
  }

  restart(): void {
    this.reservations = []
    this.current.clear()
  }

  #usedBy(account: string, day: string): number {
    return this.used.get(`${account} ${day}`) ?? 0
  }

  #add(account: string, day: string, count: number): void {
    this.used.set(`${account} ${day}`, this.#usedBy(account, day) + count)
  }

  #answer(accepted: boolean, account: string, day: string) {
    return { accepted, used: this.#usedBy(account, day) }
  }
}
