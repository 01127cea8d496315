/**
 * Alerts at work: conditions are looked at, edges are written down, and each delivery is handed what it wants.
 * Nothing here throws into the path of a request.
 */

import { accountName } from '../policy/account.ts'
import type { AlertList, AlertsStatus, AlertTested, ListedAlert } from '../policy/ports/alerts.ts'
import type { PolicyRequest } from '../policy/request.ts'
import type { VerdictRecord } from '../policy/verdict-record.ts'
import type { Cancel } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import { AccountConditions, type Rules } from './account-conditions.ts'
import type { Alert } from './alert.ts'
import { lookAtBlocks } from './block-conditions.ts'
import { Courier } from './courier.ts'
import { Crashes } from './crashes.ts'
import { deliveriesOf } from './delivery/deliveries.ts'
import type { AlertSettings, Delivery } from './delivery.ts'
import type { DeskOptions } from './desk-options.ts'
import { Edges } from './edges.ts'
import { FindingConditions } from './finding-conditions.ts'
import { Journal } from './journal.ts'
import type { AlertRecord } from './lines.ts'
import { Outbox } from './outbox.ts'
import { OwnMail } from './own-mail.ts'
import { readKey } from './own-mail-key.ts'
import { Pace } from './pace.ts'
import { Silence } from './silence.ts'
import { testCondition } from './test-condition.ts'

const LOOK_MILLISECONDS = 5000
const SWEEP_MILLISECONDS = 60_000
/** What Postfix asks is written down that often. */
const NOTE_MILLISECONDS = 600_000
/** At a stop, for what is under way. */
const STOP_MILLISECONDS = 1000

/** Somebody else may read the account's mail. */
const SIGNS_OF_THEFT: ReadonlySet<string> = new Set(['account-blocked', 'country-refused'])

export class AlertDesk {
  readonly #options: DeskOptions
  readonly #journal: Journal
  readonly #outbox: Outbox
  readonly #edges: Edges
  readonly #accounts: AccountConditions
  readonly #findings: FindingConditions
  readonly #pace = new Pace()
  readonly #silence = new Silence()
  readonly #crashes = new Crashes()
  readonly #ownMail: OwnMail
  readonly #lost = new Map<string, number>()
  #couriers: readonly Courier[] = []
  #deliveries: readonly Delivery[] = []
  #settings = ''
  #defaultDomain = ''
  #sendsMail = false
  #cancel: Cancel | undefined
  #look: Promise<void> = Promise.resolve()
  #isStopped = false
  #sweptAt: number
  #notedAt: number

  /** Reads what was written before. Never rejects. */
  static async open(
    options: DeskOptions,
    rules: Rules,
    settings: AlertSettings,
  ): Promise<AlertDesk> {
    const desk = new AlertDesk(options)
    await desk.#open()
    await desk.use(rules, settings)
    desk.#wait(0)
    return desk
  }

  private constructor(options: DeskOptions) {
    const { clock, path, key, log } = options
    this.#options = options
    this.#journal = new Journal({ path, log, live: () => this.#live() })
    this.#outbox = new Outbox({
      append: record => this.#journal.append(record),
      lost: (by, number, why) => this.#giveUp(by, number, why),
    })
    const outbox = this.#outbox
    this.#edges = new Edges({
      inForce: outbox.inForce,
      tell: alert => this.#tell(alert),
      now: clock.now,
    })
    this.#accounts = new AccountConditions(this.#edges)
    this.#findings = new FindingConditions(this.#edges)
    this.#ownMail = new OwnMail(readKey(key, log), clock.now)
    this.#sweptAt = clock.elapsed()
    this.#notedAt = clock.elapsed() - NOTE_MILLISECONDS
  }

  /** To be told of every verdict. */
  note(record: VerdictRecord): void {
    this.#accounts.note(record)
  }

  /** Was this mail sent by us? Undefined: we send none. */
  get isOwn(): ((request: PolicyRequest) => boolean) | undefined {
    return this.#sendsMail ? this.#ownMail.isOwn : undefined
  }

  /** The envelope sender of our mail to that one recipient. */
  readonly envelopeSender = (from: string, recipient: string, delimiter: string): string =>
    this.#ownMail.envelopeSender(from, recipient, delimiter)

  /** From now on. Those whose settings are the same carry on. */
  async use(rules: Rules, settings: AlertSettings): Promise<void> {
    this.#accounts.use(rules)
    const text = JSON.stringify(settings)
    if (text === this.#settings) return
    const before = this.#couriers
    this.#couriers = []
    await Promise.all(before.map(courier => this.#within(courier.stop())))
    this.#settings = text
    this.#defaultDomain = settings.defaultDomain
    this.#sendsMail = settings.mail !== '' || settings.user !== 'off'
    this.#deliveries = this.#made(settings)
    this.#outbox.keepOnly(new Set(this.#deliveries.map(({ name }) => name)))
    const { clock, log } = this.#options
    this.#couriers = this.#deliveries.map(
      delivery =>
        new Courier({
          delivery,
          outbox: this.#outbox,
          pace: this.#pace,
          clock,
          log,
          sent: mail => {
            this.#pace.sent(mail)
            void this.#append({ is: 'sent', ...mail })
          },
          lost: (by, number, why) => this.#giveUp(by, number, why),
        }),
    )
    for (const courier of this.#couriers) courier.wake()
  }

  status(): AlertsStatus {
    const now = this.#options.clock.now()
    return {
      state: 'on',
      deliveries: this.#couriers.map(one => one.status(this.#lost.get(one.name) ?? 0)),
      inForce: this.#outbox.inForce.size,
      problem: this.#journal.problem,
      silentSince: this.#silence.silentSince(now),
      crashes: this.#crashes.within(now),
    }
  }

  list(most: number): AlertList {
    const newestFirst = this.#outbox.listed.slice(-most).toReversed()
    const alerts = newestFirst.map((alert): ListedAlert => {
      return { ...alert, waitsFor: this.#outbox.waitsFor(alert.id) }
    })
    const inForce = [...this.#outbox.inForce.values()].slice(-most).toReversed()
    return { state: 'on', alerts, inForce }
  }

  /** A test alert to everybody but users: what became of it. */
  async test(by: string): Promise<readonly AlertTested[]> {
    const alert = this.#edges.alertOf(testCondition(by, this.#options.hostName), 'raised')
    const couriers = this.#couriers.filter(({ batches }) => batches !== 'account')
    return await Promise.all(
      couriers.map(async (courier): Promise<AlertTested> => {
        const outcome = await courier.test(alert)
        const why = outcome.is === 'done' ? '' : outcome.why
        return { name: courier.name, to: courier.to, outcome: outcome.is, why }
      }),
    )
  }

  /** `name`: as in sasl_username. Resolves when nothing about it is in the file any more. */
  async forget(name: string): Promise<void> {
    const account = accountName(name, this.#defaultDomain)
    this.#outbox.forget(account)
    this.#pace.forget(account)
    this.#accounts.changed()
    await this.#journal.renew()
  }

  /** An orderly stop: the next start does not count as a crash. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancel?.()
    await this.#within(this.#look)
    this.#silence.look(this.#options.requests(), this.#options.clock.now())
    await Promise.all(this.#couriers.map(courier => this.#within(courier.stop())))
    this.#noteAsked()
    void this.#append({ is: 'stop', at: this.#options.clock.now() })
    await this.#within(this.#journal.close())
  }

  async #open(): Promise<void> {
    const { clock } = this.#options
    const records = await this.#journal.read()
    this.#outbox.restore(records)
    this.#edges.countFrom(records.length)
    for (const record of records) {
      if (record.is === 'start' || record.is === 'stop') this.#crashes.note(record.is, record.at)
      else if (record.is === 'asked') this.#silence.restore(record)
      else if (record.is === 'sent') this.#pace.sent(record)
    }
    this.#crashes.note('start', clock.now())
    await this.#append({ is: 'start', at: clock.now() })
  }

  #tell(alert: Alert): void {
    const names = this.#deliveries.flatMap(one => (one.wants(alert) ? [one.name] : []))
    this.#accounts.changed()
    const written = this.#outbox.add(alert, names)
    this.#accounts.changed()
    void written.then(() => {
      for (const courier of this.#couriers) if (names.includes(courier.name)) courier.wake()
    })
  }

  #wait(milliseconds = LOOK_MILLISECONDS): void {
    if (this.#isStopped) return
    this.#cancel = this.#options.clock.after(milliseconds, () => {
      this.#look = this.#lookAtAll()
        .catch(error => this.#options.log(`alerts: ${describeError(error)}`))
        .then(() => this.#wait())
    })
  }

  async #lookAtAll(): Promise<void> {
    const { clock, requests, blocks, findings } = this.#options
    this.#silence.look(requests(), clock.now())
    lookAtBlocks(this.#edges, blocks())
    if (clock.elapsed() - this.#sweptAt >= SWEEP_MILLISECONDS) {
      this.#sweptAt = clock.elapsed()
      this.#accounts.sweep(clock.now())
    }
    if (clock.elapsed() - this.#notedAt >= NOTE_MILLISECONDS) this.#noteAsked()
    this.#findings.look(await findings(), clock.elapsed())
  }

  #noteAsked(): void {
    this.#notedAt = this.#options.clock.elapsed()
    const { known } = this.#silence
    if (known) void this.#append({ is: 'asked', ...known })
  }

  #append(record: AlertRecord): Promise<void> {
    return this.#journal.append(record)
  }

  *#live(): Iterable<AlertRecord> {
    yield* this.#outbox.live()
    for (const mail of this.#pace.mails) yield { is: 'sent', ...mail }
    yield* this.#crashes.records(this.#options.clock.now())
    const { known } = this.#silence
    if (known) yield { is: 'asked', ...known }
  }

  #made(settings: AlertSettings): readonly Delivery[] {
    const { state, etc, hostName, log, deliveries } = this.#options
    try {
      if (deliveries) return deliveries(settings)
      const envelopeSender = this.envelopeSender
      const isStolen = (account: string): boolean => this.#isStolen(account)
      return deliveriesOf(settings, { state, etc, hostName, envelopeSender, isStolen, log })
    } catch (error) {
      log(`alerts cannot be delivered: ${describeError(error)}`)
      return []
    }
  }

  #isStolen(account: string): boolean {
    for (const alert of this.#outbox.inForce.values()) {
      if (alert.account === account && SIGNS_OF_THEFT.has(alert.kind)) return true
    }
    return false
  }

  #giveUp(by: string, number: number, why: string): void {
    this.#lost.set(by, (this.#lost.get(by) ?? 0) + number)
    const alerts = number === 1 ? '1 alert was' : `${number} alerts were`
    this.#options.log(`${alerts} not delivered to ${by}: ${why}`)
  }

  async #within(work: Promise<unknown>): Promise<void> {
    const ended = new AbortController()
    const tooLong = this.#options.clock
      .sleep(STOP_MILLISECONDS, ended.signal)
      .catch(() => undefined)
    await Promise.race([work, tooLong])
    ended.abort()
  }
}
