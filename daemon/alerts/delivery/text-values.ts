/** What is put into the texts of mails, by names that an administrator's own texts can use. */

import type { Severity } from '../../policy/finding.ts'
import type { Alert, AlertLanguage, AlertWords } from '../alert.ts'
import { remedySteps } from './remedy-steps.ts'
import type { TextValues } from './texts.ts'

/** Alerts of one kind that a digest lists; the number of the others is told. */
const MOST_LISTED = 20
/** Kinds that it lists. */
const MOST_GROUPS = 20

/** French only where there is a French text. */
export function wordsIn(words: AlertWords, language: AlertLanguage): string {
  return words[language] ?? words.en
}

/** For `alert.LANGUAGE.txt`. */
export function alertValues(alert: Alert, language: AlertLanguage, host: string): TextValues {
  return {
    ...common(alert, language),
    host,
    why: capitalized(wordsIn(alert.why, language), alert),
    remedy: wordsIn(alert.remedy, language),
    steps: remedySteps(wordsIn(alert.remedy, language)).map(line => ({ line })),
    severity: alert.severity,
    account: alert.account,
    facts: Object.entries(alert.facts).map(([name, value]) => ({ name, value })),
  }
}

/** For `digest.LANGUAGE.txt`. The first kind is the one with the worst alert. */
export function digestValues(
  alerts: readonly Alert[],
  language: AlertLanguage,
  host: string,
): TextValues {
  const kinds = Map.groupBy(alerts, ({ kind }) => kind)
  const groups = [...kinds].toSorted(([, a], [, b]) => rank(a) - rank(b)).slice(0, MOST_GROUPS)
  const accounts = new Set(alerts.map(({ account }) => account).filter(name => name !== ''))
  const times = alerts.map(({ at }) => at)
  return {
    host,
    count: alerts.length,
    accounts: accounts.size,
    severalAccounts: accounts.size > 1,
    // The time zone is told once.
    first: timeText(Math.min(...times)).slice(0, 16),
    last: timeText(Math.max(...times)),
    groups: groups.map(([kind, all]) => ({
      kind,
      count: all.length,
      more: Math.max(0, all.length - MOST_LISTED),
      alerts: all.slice(0, MOST_LISTED).map(alert => common(alert, language)),
    })),
  }
}

/** For `user.LANGUAGE.txt`. */
export function userValues(alert: Alert, language: AlertLanguage, host: string): TextValues {
  const { user, used, limit } = alert.facts
  const share = typeof used === 'number' && typeof limit === 'number' ? used / limit : 1
  return {
    ...common(alert, language),
    host,
    user: typeof user === 'string' && user !== '' ? user : alert.account,
    atLimit: alert.kind === 'account-at-limit',
    percent: Number.isFinite(share) ? Math.min(100, Math.floor(100 * share)) : 100,
  }
}

function common(alert: Alert, language: AlertLanguage): TextValues {
  const time = timeText(alert.at)
  const what = wordsIn(alert.what, language)
  return {
    id: alert.id,
    kind: alert.kind,
    cleared: alert.state === 'cleared',
    what,
    /** The same, as it begins a line. */
    sentence: capitalized(what, alert),
    time,
    clock: time.slice(11, 16),
  }
}

const RANKS: Readonly<Record<Severity, number>> = { error: 0, warning: 1, note: 2 }

function rank(alerts: readonly Alert[]): number {
  return Math.min(...alerts.map(({ severity }) => RANKS[severity]))
}

/** The name of an account or a person keeps its first letter. */
function capitalized(text: string, { account, facts }: Alert): string {
  const names = [account, facts.user, facts.by]
  const isName = names.some(
    name => typeof name === 'string' && name !== '' && text.startsWith(name),
  )
  return isName ? text : text.charAt(0).toUpperCase() + text.slice(1)
}

let format: Intl.DateTimeFormat | undefined

/** `2026-12-01 08:45 (Europe/Berlin)`. Made with the first mail, because it takes 10 ms. */
export function timeText(at: number): string {
  format ??= new Intl.DateTimeFormat('en-CA', {
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  })
  return `${format.format(at).replace(', ', ' ')} (${format.resolvedOptions().timeZone})`
}
