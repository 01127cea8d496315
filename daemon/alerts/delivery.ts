/**
 * How alerts leave. The core (outbox and pace) decides when and how many; a delivery only sends. It is
 * asked again for what it has not taken, for a day, also after a restart: so it may see an alert twice.
 */

import type { Alert, AlertLanguage } from './alert.ts'

export type Outcome =
  | { readonly is: 'done' }
  /** Not now: again after a pause that doubles, or after `milliseconds` if that is longer. */
  | { readonly is: 'later'; readonly why: string; readonly milliseconds?: number }
  /** Never: it is given up, and the log and status say why. */
  | { readonly is: 'refused'; readonly why: string }

export interface Held {
  readonly count: number
  /** Milliseconds since 1970; undefined: there is nothing. */
  readonly oldest: number | undefined
}

export const DONE: Outcome = { is: 'done' }

export interface Delivery {
  /** mail, user, webhook, command: stable, because what waits for it is kept under this name. */
  readonly name: string
  /** Whom it tells, for the result of a test: addresses, the host of a webhook, a program. No secret. */
  readonly to?: string
  /**
   * one: each alert by itself, in their order. all: what is due at once (more than one is a digest).
   * account: what is due about one account. `all` and `account` are paced like mail: 1 in 10 minutes for
   * each account, 30 an hour in all.
   */
  readonly batches: 'one' | 'all' | 'account'
  /** Alerts that it has no use for are not kept for it. */
  wants(alert: Alert): boolean
  /**
   * One at a time. `signal`: the daemon stops, or the configuration has changed. What it throws is
   * `later`. After DELIVERY_MILLISECONDS it is `later`, whatever it does.
   */
  deliver(batch: readonly Alert[], signal: AbortSignal): Promise<Outcome>
  /**
   * For a test, whether what it has just taken has really left this host or was handed to its mail server.
   * Without it, `done` of `deliver` says so.
   */
  hasLeft?(batch: readonly Alert[], signal: AbortSignal): Promise<Outcome>
  /** For status and metrics, what it has taken and what has not left this host yet: how many, since when. */
  held?(): Held
  /** For status, what is wrong although it has taken everything, such as mails that nobody fetches. */
  problem?(): string | undefined
}

/** The longest time for one batch. */
export const DELIVERY_MILLISECONDS = 60_000

export const WEBHOOK_FORMATS = ['json', 'slack', 'mattermost', 'matrix', 'ntfy'] as const
export type WebhookFormat = (typeof WEBHOOK_FORMATS)[number]
export const USER_ALERTS = ['off', 'warn', 'all'] as const
export type UserAlerts = (typeof USER_ALERTS)[number]

/** From the configuration; an empty text is off. */
export interface AlertSettings {
  /** Addresses separated by commas. */
  readonly mail: string
  readonly webhook: string
  readonly webhookFormat: WebhookFormat
  /** Absolute path. */
  readonly command: string
  readonly user: UserAlerts
  /** Mails are from it (From); empty: a default of the delivery. */
  readonly sender: string
  readonly language: AlertLanguage
  /** Completes user names without one; may be empty. */
  readonly defaultDomain: string
}

/** What deliveries may use. `alerts/delivery/deliveries.ts` exports `deliveriesOf: MakeDeliveries`. */
export interface DeliverySurroundings {
  /** State folder of the daemon, for `outgoing/`. */
  readonly state: string
  /** /etc/univention-mtpolicyd, for `webhook.secret` and `alert-texts/`. */
  readonly etc: string
  /** Name of this host, fully qualified if it is known. */
  readonly hostName: string
  /**
   * The envelope sender of our mail to this one recipient (so one envelope for each): `from` with a note
   * that cannot be forged, by which the daemon knows our own mail when it comes back as a request. `delimiter`:
   * what the mail server takes for the beginning of such an addition; without one there is no note.
   */
  envelopeSender(from: string, recipient: string, delimiter: string): string
  /**
   * Is the account blocked, or was mail of it refused for its country lately? Then only a thief may read
   * mail to it.
   */
  isStolen?(account: string): boolean
  log(line: string): void
}

export type MakeDeliveries = (
  settings: AlertSettings,
  surroundings: DeliverySurroundings,
) => readonly Delivery[]
