/** An alert for programs: the body of a webhook, and standard input of a command. */

import type { Alert, AlertLanguage } from '../alert.ts'
import { wordsIn } from './text-values.ts'

export interface AlertJson {
  readonly id: string
  /** ISO 8601, UTC. */
  readonly time: string
  readonly host: string
  readonly state: string
  readonly kind: string
  readonly key: string
  readonly severity: string
  readonly account: string
  /** Sentences without their periods, in the language of alerts. */
  readonly what: string
  readonly why: string
  readonly remedy: string
  readonly facts: Readonly<Record<string, string | number>>
}

export function alertJson(alert: Alert, language: AlertLanguage, host: string): AlertJson {
  const { id, at, state, kind, key, severity, account, facts } = alert
  return {
    id,
    time: new Date(at).toISOString(),
    host,
    state,
    kind,
    key,
    severity,
    account,
    what: wordsIn(alert.what, language),
    why: wordsIn(alert.why, language),
    remedy: wordsIn(alert.remedy, language),
    facts,
  }
}
