/** What a mail user reads when a limit refuses a message, in German, with ae, oe and ue; see limit-texts.ts. */

import type { Unit } from '../../policy/ports/ledger.ts'
import type { LimitWindow } from './window.ts'
import { counting, isTooMuch, minutesOf, type Refusal, span, type Wording } from './wording.ts'

const { number, counted } = counting(
  ['Empfaenger', 'Empfaenger'],
  ['Nachricht', 'Nachrichten'],
  'MB',
  ',',
)
/** After "von". */
const dative = (amount: number, unit: Unit): string =>
  unit === 'recipients' && amount !== 1 ? `${amount} Empfaengern` : counted(amount, unit)
const names = {
  day: ['Tag', 'Tage'],
  week: ['Woche', 'Wochen'],
  month: ['Monat', 'Monate'],
  hour: ['Stunde', 'Stunden'],
  minute: ['Minute', 'Minuten'],
} as const
const nouns = { day: 'Tageslimit', week: 'Wochenlimit', month: 'Monatslimit' }
const current = { day: 'fuer heute', week: 'fuer diese Woche', month: 'fuer diesen Monat' }
const per = (window: LimitWindow): string =>
  typeof window === 'object' && minutesOf(window) > 1440
    ? `in ${span(window, { ...names, day: ['Tag', 'Tagen'] })}`
    : `pro ${span(window, names)}`

function refused(refusal: Refusal): string {
  const { unit, window, whom, limit, left, amount, again } = refusal
  const owner = whom === undefined ? '' : ` fuer ${whom}`
  const isCalendar = typeof window === 'string'
  if (isTooMuch(refusal)) {
    const whose = whom === undefined ? 'Ihr Limit' : `das Limit${owner}`
    return (
      `Diese Nachricht hat ${counted(amount, unit)}, ${whose} ist aber ` +
      `${counted(limit, unit)} ${per(window)}; bitte senden Sie sie in kleineren Teilen`
    )
  }
  if (left > 0) {
    const rest = number(left, unit, Math.floor)
    const of = `${whom === undefined ? 'Ihren' : 'den'} ${unit === 'bytes' ? counted(limit, unit) : limit}`
    const verb = left === 1 ? 'ist' : 'sind'
    const when = isCalendar ? current[window] : per(window)
    const then = isCalendar ? '' : `; sie kann ab ${again} gesendet werden`
    return (
      `Diese Nachricht hat ${counted(amount, unit)}, ` +
      `aber von ${of} ${when}${owner} ${verb} nur noch ${rest} uebrig${then}`
    )
  }
  const then =
    limit === 0
      ? 'bitte wenden Sie sich an Ihren Mail-Administrator'
      : `Sie koennen ab ${again} wieder senden`
  const name = isCalendar ? nouns[window] : 'Limit'
  const when = isCalendar ? '' : ` ${per(window)}`
  return `Das ${name} von ${dative(limit, unit)}${when}${owner} ist erreicht; ${then}`
}

export const german: Wording = {
  refused,
  tooManyRecipients: most =>
    `Eine Nachricht darf hoechstens ${counted(most, 'recipients')} haben; bitte senden Sie sie in mehreren Teilen`,
  tooBig: (most, size) =>
    `Eine Nachricht darf hoechstens ${counted(most, 'bytes')} gross sein, diese hat ${counted(size, 'bytes')}`,
  window: window => span(window, names),
  domain: name => `alle Benutzer von ${name}`,
  server: 'alle Benutzer dieses Servers',
  never: 'nie',
}
