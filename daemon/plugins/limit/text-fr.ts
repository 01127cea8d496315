/** What a mail user reads when a limit refuses a message, in French, without accents; see limit-texts.ts. */

import type { LimitWindow } from './window.ts'
import { counting, isTooMuch, type Refusal, span, type Wording } from './wording.ts'

const { number, counted } = counting(
  ['destinataire', 'destinataires'],
  ['message', 'messages'],
  'Mo',
  ',',
)
const names = {
  day: ['jour', 'jours'],
  week: ['semaine', 'semaines'],
  month: ['mois', 'mois'],
  hour: ['heure', 'heures'],
  minute: ['minute', 'minutes'],
} as const
const current = { day: "pour aujourd'hui", week: 'pour cette semaine', month: 'pour ce mois' }
const per = (window: LimitWindow): string => {
  const name = span(window, names)
  return /^\d/.test(name) ? `en ${name}` : `par ${name}`
}

function refused(refusal: Refusal): string {
  const { unit, window, whom, limit, left, amount, again } = refusal
  const owner = whom === undefined ? '' : ` pour ${whom}`
  const isCalendar = typeof window === 'string'
  if (isTooMuch(refusal)) {
    const whose = whom === undefined ? 'votre limite' : `la limite${owner}`
    return (
      `Ce message a ${counted(amount, unit)}, mais ${whose} est de ` +
      `${counted(limit, unit)} ${per(window)} ; veuillez l'envoyer en plusieurs parties`
    )
  }
  if (left > 0) {
    const rest = number(left, unit, Math.floor)
    const reste = whom === undefined ? 'il ne vous en reste' : "il n'en reste"
    const when = isCalendar ? current[window] : per(window)
    const then = isCalendar ? '' : ` ; vous pourrez l'envoyer apres ${again}`
    return (
      `Ce message a ${counted(amount, unit)}, ` +
      `mais ${reste} que ${rest} sur ${unit === 'bytes' ? counted(limit, unit) : limit} ${when}${owner}${then}`
    )
  }
  const then =
    limit === 0
      ? 'contactez votre administrateur de messagerie'
      : `vous pourrez envoyer de nouveau apres ${again}`
  return `La limite de ${counted(limit, unit)} ${per(window)}${owner} est atteinte ; ${then}`
}

export const french: Wording = {
  refused,
  tooManyRecipients: most =>
    `Un message peut avoir ${counted(most, 'recipients')} au plus ; veuillez l'envoyer en plusieurs parties`,
  tooBig: (most, size) =>
    `Un message peut faire ${counted(most, 'bytes')} au plus, celui-ci fait ${counted(size, 'bytes')}`,
  window: window => span(window, names),
  domain: name => `tous les utilisateurs du domaine ${name}`,
  server: 'tous les utilisateurs de ce serveur',
  never: 'jamais',
}
