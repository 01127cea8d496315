/** What alerts about an account say, in the three languages of users. */

import type { AlertWords, Condition } from './alert.ts'
import { type Whom, whomWords } from './whom.ts'

/** A limit, as its configuration describes it. */
export interface RuleWords {
  /** The name of its block. */
  readonly name: string
  readonly unit: 'recipients' | 'messages' | 'megabytes'
  /** As SendingLimit's `window`: day, week, month, 1h, 24h. */
  readonly window: string
}

type Words = Pick<Condition, 'what' | 'why' | 'remedy'>

const UNITS = {
  en: { recipients: 'recipients', messages: 'messages', megabytes: 'MB' },
  de: { recipients: 'Empfängern', messages: 'Nachrichten', megabytes: 'MB' },
  fr: { recipients: 'destinataires', messages: 'messages', megabytes: 'Mo' },
} as const

const PERIODS: Readonly<Record<string, { en: string; de: string; fr: string }>> = {
  day: { en: 'a day', de: 'am Tag', fr: 'par jour' },
  week: { en: 'a week', de: 'in der Woche', fr: 'par semaine' },
  month: { en: 'a month', de: 'im Monat', fr: 'par mois' },
  '1h': { en: 'an hour', de: 'je Stunde', fr: 'par heure' },
  '1m': { en: 'a minute', de: 'je Minute', fr: 'par minute' },
}

export function nearWords(
  whom: Whom,
  used: number,
  limit: number,
  rule: RuleWords | undefined,
): Words {
  const { en, de, fr } = amounts(used, limit, rule)
  const who = whomWords(whom, rule)
  return {
    what: {
      en: `${who.en} has used ${en}`,
      de: `${who.de} hat ${de} verbraucht`,
      fr: `${who.fr} a utilisé ${fr}`,
    },
    why: {
      en: 'mail beyond the limit is not accepted as usual',
      de: 'Mail jenseits des Limits wird nicht wie sonst angenommen',
      fr: 'au-delà de la limite, le courrier n’est plus accepté comme d’habitude',
    },
    remedy: look(whom),
  }
}

/** `isHeld`: it was accepted, and waits for the administrator. `isObserved`: it passed (observe mode). */
export function limitWords(
  whom: Whom,
  used: number | undefined,
  limit: number | undefined,
  rule: RuleWords | undefined,
  how: { readonly isHeld: boolean; readonly isObserved: boolean },
): Words {
  const who = whomWords(whom, rule)
  const told =
    used === undefined || limit === undefined
      ? { en: '', de: '', fr: '' }
      : parenthesized(amounts(used, limit, rule))
  const word = how.isObserved ? OBSERVED : how.isHeld ? HELD : REFUSED
  return {
    what: {
      en: `mail of ${who.en} beyond its limit ${word.en}${told.en}`,
      de: `Mail ${who.of.de} über das Limit hinaus ${word.de}${told.de}`,
      fr: `du courrier ${who.of.fr} au-delà de sa limite ${word.fr}${told.fr}`,
    },
    why: {
      en: 'either somebody sends more than usual, or the password was stolen',
      de: 'entweder sendet jemand mehr als sonst, oder das Passwort wurde gestohlen',
      fr: 'soit quelqu’un envoie plus que d’habitude, soit le mot de passe a été volé',
    },
    remedy: whom.per === 'user' ? stop(whom.name) : look(whom),
  }
}

export function countryWords(
  account: string,
  country: string,
  client: string,
  isObserved: boolean,
): Words {
  const { en, de, fr } = isObserved ? OBSERVED : REFUSED
  const where = country === '' ? client : `${country} (${client})`
  return {
    what: {
      en: `mail of ${account} from ${where} ${en}`,
      de: `Mail von ${account} aus ${where} ${de}`,
      fr: `du courrier de ${account} depuis ${where} ${fr}`,
    },
    why: {
      en: 'either the user travels, or somebody else knows the password',
      de: 'entweder ist der Benutzer auf Reisen, oder jemand anders kennt das Passwort',
      fr: 'soit l’utilisateur voyage, soit quelqu’un d’autre connaît le mot de passe',
    },
    remedy: stop(account, country),
  }
}

export function blockWords(account: string, by: string, why: string): Words {
  const reason = [by, why].filter(text => text !== '').join(': ')
  const told = reason === '' ? '' : ` (${reason})`
  return {
    what: {
      en: `${account} is blocked${told}`,
      de: `${account} ist gesperrt${told}`,
      fr: `${account} est bloqué${told}`,
    },
    why: {
      en: 'no mail of the account is accepted until it is released',
      de: 'von dem Konto wird keine Mail angenommen, bis es freigegeben wird',
      fr: 'aucun courrier de ce compte n’est accepté avant sa libération',
    },
    remedy: {
      en: `once nobody else knows its password: mtpolicyctl release ${quoted(account)}`,
      de: `wenn niemand anders mehr das Passwort kennt: mtpolicyctl release ${quoted(account)}`,
      fr: `quand personne d’autre ne connaît plus son mot de passe : mtpolicyctl release ${quoted(account)}`,
    },
  }
}

const REFUSED = { en: 'was refused', de: 'wurde abgelehnt', fr: 'a été refusé' }
const HELD = {
  en: 'is held in the queue',
  de: 'wird in der Warteschlange zurückgehalten',
  fr: 'est retenu dans la file d’attente',
}
const OBSERVED = {
  en: 'would have been refused (observe mode)',
  de: 'wäre abgelehnt worden (Beobachtungsmodus)',
  fr: 'aurait été refusé (mode observation)',
}

function amounts(
  used: number,
  limit: number,
  rule: RuleWords | undefined,
): { en: string; de: string; fr: string } {
  const of = (lang: 'en' | 'de' | 'fr', word: string): string => {
    const unit = rule ? ` ${UNITS[lang][rule.unit]}` : ''
    const period = rule ? ` ${PERIODS[rule.window]?.[lang] ?? `(${rule.window})`}` : ''
    return `${rounded(used)} ${word} ${rounded(limit)}${unit}${period}`
  }
  return { en: of('en', 'of'), de: of('de', 'von'), fr: of('fr', 'sur') }
}

function parenthesized({ en, de, fr }: { en: string; de: string; fr: string }) {
  return { en: ` (${en} used)`, de: ` (${de} verbraucht)`, fr: ` (${fr} utilisés)` }
}

function rounded(amount: number): string {
  return String(Math.round(amount * 10) / 10)
}

function look({ per, name }: Whom): AlertWords {
  return all(per === 'user' ? `mtpolicyctl user ${quoted(name)}` : 'mtpolicyctl top')
}

/** `country`: from where the user may be allowed to send. */
function stop(account: string, country = ''): AlertWords {
  const name = quoted(account)
  const see = `mtpolicyctl user ${name}`
  const block = `mtpolicyctl block ${name}`
  const allow = /^[A-Z]{2}$/.test(country)
    ? `mtpolicyctl allow ${name} --countries ${country} --until +3d; `
    : ''
  return {
    en: `${see}; ${allow && `if the user travels: ${allow}`}if it is not the user: ${block}`,
    de: `${see}; ${allow && `wenn der Benutzer auf Reisen ist: ${allow}`}wenn es nicht der Benutzer ist: ${block}`,
    fr: `${see} ; ${allow && `si l’utilisateur voyage : ${allow}`}si ce n’est pas l’utilisateur : ${block}`,
  }
}

function all(text: string): AlertWords {
  return { en: text, de: text, fr: text }
}

/** As a word of a shell: a person copies it. */
function quoted(word: string): string {
  if (/^[\w.@%/+][\w.@%/+-]*$/.test(word)) return word
  const text = `'${word.replaceAll("'", "'\\''")}'`
  return word.startsWith('-') ? `-- ${text}` : text
}
