/** What is put into the texts of mails, by names that an administrator's own texts can use. */

import type { Alert, AlertLanguage, AlertWords } from '../alert.ts'
import type { TextValues } from './texts.ts'

/** Alerts of one kind that a digest lists; the number of the others is told. */
const MOST_LISTED = 20
/** Kinds that it lists. */
const MOST_GROUPS = 20

/** French only where there is a French text. */
export function wordsIn(words: AlertWords, language: AlertLanguage): string {
  return words[language] ?? words.en
}

/** Of `alert.LANGUAGE.txt`. */
export function alertValues(alert: Alert, language: AlertLanguage, host: string): TextValues {
  const remedy = wordsIn(alert.remedy, language)
  return {
    ...common(alert, language),
    host,
    why: wordsIn(alert.why, language),
    // A command is on a line of its own, so that it can be copied.
    command: isCommand(remedy) ? remedy : '',
    remedy: isCommand(remedy) ? '' : remedy,
    severity: alert.severity,
    account: alert.account,
    facts: Object.entries(alert.facts).map(([name, value]) => ({ name, value })),
  }
}

/** Of `digest.LANGUAGE.txt`. The first kind is the one with the worst alert. */
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
    first: timeText(Math.min(...times)),
    last: timeText(Math.max(...times)),
    groups: groups.map(([kind, all]) => ({
      kind,
      count: all.length,
      more: Math.max(0, all.length - MOST_LISTED),
      alerts: all.slice(0, MOST_LISTED).map(alert => common(alert, language)),
    })),
  }
}

/** Of `user.LANGUAGE.txt`. */
export function userValues(alert: Alert, host: string): TextValues {
  const { user, used, limit } = alert.facts
  const most = typeof limit === 'number' ? limit : 0
  const now = typeof used === 'number' ? used : 0
  return {
    host,
    user: typeof user === 'string' && user !== '' ? user : alert.account,
    time: timeText(alert.at),
    atLimit: alert.kind === 'account-at-limit',
    percent: most > 0 ? Math.min(100, Math.floor((100 * now) / most)) : 100,
    used: now,
    limit: most,
  }
}

function common(alert: Alert, language: AlertLanguage): TextValues {
  const time = timeText(alert.at)
  return {
    id: alert.id,
    kind: alert.kind,
    cleared: alert.state === 'cleared',
    what: wordsIn(alert.what, language),
    time,
    clock: time.slice(11, 16),
  }
}

const RANKS = { error: 0, warning: 1, note: 2 } as const

function rank(alerts: readonly Alert[]): number {
  return Math.min(...alerts.map(({ severity }) => RANKS[severity]))
}

function isCommand(remedy: string): boolean {
  return /^[a-z][\w-]* /.test(remedy)
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
