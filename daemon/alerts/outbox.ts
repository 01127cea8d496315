/**
 * Which conditions hold, what was told of late, and what still waits for whom: in memory, and the same in
 * the journal. Each delivery has its own place, so that one that fails holds up no other.
 */

import type { Alert } from './alert.ts'
import { conditionOf } from './alert.ts'
import type { AlertRecord } from './lines.ts'

/** For one delivery; beyond, the oldest one is given up. */
export const MOST_WAITING = 5000
/** Conditions that hold at the same time; beyond, the oldest one is left out, without being cleared. */
export const MOST_IN_FORCE = 10_000
/** Alerts that are listed. */
const MOST_LISTED = 500

export interface OutboxOptions {
  /** Resolves when it is on the disk. */
  readonly append: (record: AlertRecord) => Promise<void>
  /** Alerts of that delivery were given up. */
  readonly lost: (by: string, number: number, why: string) => void
}

export class Outbox {
  readonly #options: OutboxOptions
  readonly #inForce = new Map<string, Alert>()
  #listed: Alert[] = []
  /** By delivery; each by id, in the order in which they came. */
  readonly #waiting = new Map<string, Map<string, Alert>>()

  /** On their way to the disk, by id. */
  readonly #coming = new Map<string, { readonly alert: Alert; readonly to: readonly string[] }>()

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  /** From the journal; to be called once, first. A record may be there twice. */
  restore(records: readonly AlertRecord[]): void {
    const seen = new Set<string>()
    const before = new Map(this.#inForce)
    const early = this.#listed
    this.#listed = []
    this.#inForce.clear()
    for (const record of records) {
      if (record.is === 'edge' && !seen.has(record.alert.id)) {
        seen.add(record.alert.id)
        this.#note(record.alert)
        for (const name of record.to) this.#waitingFor(name).set(record.alert.id, record.alert)
      } else if (record.is === 'end') {
        for (const id of record.ids) this.#waiting.get(record.by)?.delete(id)
      }
    }
    this.#listed.push(...early)
    for (const [condition, alert] of before) this.#inForce.set(condition, alert)
  }

  isInForce(condition: string): boolean {
    return this.#inForce.has(condition)
  }

  get inForce(): ReadonlyMap<string, Alert> {
    return this.#inForce
  }

  /** The newest last. */
  get listed(): readonly Alert[] {
    return this.#listed
  }

  waitsFor(id: string): readonly string[] {
    const coming = this.#coming.get(id)
    if (coming) return coming.to
    return [...this.#waiting].flatMap(([name, alerts]) => (alerts.has(id) ? [name] : []))
  }

  /** In their order. */
  waiting(name: string): ReadonlyMap<string, Alert> {
    return this.#waitingFor(name)
  }

  /**
   * Resolves when it is on the disk, and so will be delivered whatever happens; it waits from then on, so that
   * nobody is told what a crash would make the daemon tell again.
   */
  async add(alert: Alert, to: readonly string[]): Promise<void> {
    this.#note(alert)
    this.#coming.set(alert.id, { alert, to })
    await this.#options.append({ is: 'edge', alert, to })
    // It may have been deleted meanwhile.
    if (!this.#coming.delete(alert.id)) return
    for (const name of to) this.#wait(name, alert)
  }

  /** They wait no longer. */
  end(by: string, ids: readonly string[], how: 'done' | 'lost'): void {
    const waiting = this.#waitingFor(by)
    for (const id of ids) waiting.delete(id)
    void this.#options.append({ is: 'end', by, how, ids })
  }

  /** Leaves out what is about that account; what waits is not told any more. */
  forget(account: string): void {
    this.#listed = this.#listed.filter(one => one.account !== account)
    for (const [condition, alert] of this.#inForce) {
      if (alert.account === account) this.#inForce.delete(condition)
    }
    for (const [id, { alert }] of this.#coming) {
      if (alert.account === account) this.#coming.delete(id)
    }
    for (const alerts of this.#waiting.values()) {
      for (const [id, alert] of alerts) if (alert.account === account) alerts.delete(id)
    }
  }

  /** Those of deliveries that are not there any more. */
  keepOnly(names: ReadonlySet<string>): void {
    for (const [name, alerts] of this.#waiting) {
      if (names.has(name) || alerts.size === 0) continue
      this.#options.lost(name, alerts.size, 'it is switched off')
      this.end(name, [...alerts.keys()], 'lost')
    }
  }

  /** For a journal that is rewritten. */
  *live(): Iterable<AlertRecord> {
    const alerts = new Map<string, Alert>()
    for (const alert of this.#inForce.values()) alerts.set(alert.id, alert)
    for (const waiting of this.#waiting.values()) {
      for (const alert of waiting.values()) alerts.set(alert.id, alert)
    }
    for (const alert of this.#listed) alerts.set(alert.id, alert)
    for (const { alert } of this.#coming.values()) alerts.set(alert.id, alert)
    const inOrder = [...alerts.values()].toSorted((a, b) => a.at - b.at)
    for (const alert of inOrder) yield { is: 'edge', alert, to: this.waitsFor(alert.id) }
  }

  #note(alert: Alert): void {
    this.#listed.push(alert)
    if (this.#listed.length > MOST_LISTED * 2) this.#listed = this.#listed.slice(-MOST_LISTED)
    const condition = conditionOf(alert)
    this.#inForce.delete(condition)
    if (alert.state === 'cleared' || alert.key === '') return
    this.#inForce.set(condition, alert)
    if (this.#inForce.size > MOST_IN_FORCE) {
      for (const oldest of this.#inForce.keys()) {
        this.#inForce.delete(oldest)
        break
      }
    }
  }

  #wait(name: string, alert: Alert): void {
    const waiting = this.#waitingFor(name)
    waiting.set(alert.id, alert)
    if (waiting.size <= MOST_WAITING) return
    for (const oldest of waiting.keys()) {
      this.#options.lost(name, 1, 'too many wait')
      this.end(name, [oldest], 'lost')
      break
    }
  }

  #waitingFor(name: string): Map<string, Alert> {
    let waiting = this.#waiting.get(name)
    if (!waiting) {
      waiting = new Map()
      this.#waiting.set(name, waiting)
    }
    return waiting
  }
}
