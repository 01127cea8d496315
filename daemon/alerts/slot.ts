/**
 * Alerts as the daemon has them, whether anybody is to be told or not. Where nobody is, none of this is
 * loaded, and there is no file.
 */

import type { AlertList, AlertsStatus, AlertTested } from '../policy/ports/alerts.ts'
import type { PolicyRequest } from '../policy/request.ts'
import type { VerdictSink } from '../policy/verdict-record.ts'
import type { Rules } from './account-conditions.ts'
import type { AlertSettings } from './delivery.ts'
import type { AlertDesk } from './desk.ts'
import type { DeskOptions } from './desk-options.ts'

const OFF: AlertsStatus = {
  state: 'off',
  deliveries: [],
  inForce: 0,
  problem: undefined,
  silentSince: undefined,
  crashes: 0,
}

/** Is anybody to be told? */
export function isOn({ mail, webhook, command, user }: AlertSettings): boolean {
  return mail !== '' || webhook !== '' || command !== '' || user !== 'off'
}

export class AlertSlot {
  readonly #options: DeskOptions
  #desk: AlertDesk | undefined
  #closing: Promise<void> = Promise.resolve()

  /** Opens nothing yet. */
  constructor(options: DeskOptions) {
    this.#options = options
  }

  readonly note: VerdictSink = record => this.#desk?.note(record)

  /** Was this mail sent by ourselves, to tell an alert? Then it passes, and is not counted. */
  readonly isOwn = (request: PolicyRequest): boolean => this.#desk?.isOwn?.(request) ?? false

  /** Resolves when alerts of earlier runs have been read. Never rejects because of them. */
  async open(rules: Rules, settings: AlertSettings): Promise<void> {
    await this.#closing
    if (this.#desk) await this.#desk.use(rules, settings)
    else {
      const { AlertDesk } = await import('./desk.ts')
      this.#desk = await AlertDesk.open(this.#options, rules, settings)
    }
  }

  status(): AlertsStatus {
    return this.#desk?.status() ?? OFF
  }

  list(most: number): AlertList {
    return this.#desk?.list(most) ?? { state: 'off', alerts: [], inForce: [] }
  }

  /** Rejects if nobody is to be told. */
  async test(by: string): Promise<readonly AlertTested[]> {
    if (this.#desk) return await this.#desk.test(by)
    throw new Error(
      'no alerts are switched on: mtpolicyctl set mtpolicyd/alert/mail=root ' +
        '(in a hand-written file: alert_mail = root)',
    )
  }

  /** Leaves out what is about that account, on the disk, too. */
  async forget(name: string): Promise<void> {
    await this.#desk?.forget(name)
  }

  /** What is on the disk stays there. */
  close(): Promise<void> {
    const desk = this.#desk
    this.#desk = undefined
    if (desk) this.#closing = desk.stop()
    return this.#closing
  }
}
