/**
 * What a mail server of a hundred users might look like in the console, one of them hacked, for tests of the page.
 * The names of some are markup, as a thief may choose it. Always the same: numbers come from a generator of its own.
 */

import type {
  Findings,
  RefusalLine,
  SenderSums,
  Series,
  Status,
  Variable,
} from '../../daemon/web/api.ts'

export const HOUR = 3_600_000
export const HACKED = 'eve@example.org'
/** Whatever of this runs sets window.hacked. */
export const MARKUP = '<img src=x onerror="window.hacked=1">'
export const MARKUP_ACCOUNT = `${MARKUP}@example.org`

function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

const FIRST = 'anna ben clara david emma felix greta hugo ida jonas klara leon mia noah olga'.split(
  ' ',
)
const LAST = 'bauer fischer huber klein lang maier neumann schmidt vogel weber'.split(' ')

export const accounts: readonly string[] = [
  HACKED,
  'newsletter@example.org',
  MARKUP_ACCOUNT,
  ...Array.from({ length: 97 }, (_, index) => {
    const first = FIRST[index % FIRST.length]
    const last = LAST[Math.floor(index / FIRST.length + index) % LAST.length]
    return `${first}.${last}${index > 60 ? index : ''}@example.org`
  }),
]

/** Much by day, little by night; the thief has come some hours ago. */
export function seriesOf(since: number, until: number, now: number): Series {
  const random = numbers(7)
  const step = HOUR
  const times: number[] = []
  const messages: number[] = []
  const recipients: number[] = []
  const refused: number[] = []
  for (let time = Math.floor(since / step) * step; time < until; time += step) {
    const hour = new Date(time).getHours()
    const day = new Date(time).getDay()
    const work = Math.max(0, Math.sin(((hour - 6) / 14) * Math.PI))
    const busy = (hour >= 6 && hour <= 20 ? work : 0.03) * (day === 0 || day === 6 ? 0.25 : 1)
    const sent = Math.round(busy * (110 + random() * 60) + random() * 6)
    const isStolen = now - time < 7 * HOUR && now - time > HOUR
    times.push(time)
    messages.push(sent + (isStolen ? 60 : 0))
    recipients.push(Math.round(sent * (1.7 + random()) + (isStolen ? 160 : 0)))
    refused.push(Math.round(random() * 3 + (isStolen ? 90 + random() * 110 : 0)))
  }
  return { step, times, messages, recipients, refused }
}

export const top: readonly SenderSums[] = accounts.slice(0, 20).map((account, index) => {
  const random = numbers(index + 1)
  const isHacked = account === HACKED
  return {
    account,
    messages: isHacked ? 412 : Math.round(180 / (index + 1) + random() * 20),
    recipients: isHacked ? 1000 : Math.round(820 / (index + 1) + random() * 40),
    refused: isHacked ? 1187 : Math.round(random() * 2),
    bytes: Math.round(random() * 9e7),
    countries: isHacked ? ['BR', 'VN', 'RU', 'IN', 'DE'] : random() > 0.8 ? ['DE', 'AT'] : ['DE'],
    networks: isHacked ? 214 : 1 + Math.round(random() * 3),
  }
})

export const countries = [
  { country: 'DE', messages: 1488, recipients: 3302, refused: 4 },
  { country: 'BR', messages: 96, recipients: 310, refused: 402 },
  { country: 'VN', messages: 71, recipients: 260, refused: 377 },
  { country: 'AT', messages: 182, recipients: 390, refused: 0 },
  { country: 'RU', messages: 44, recipients: 160, refused: 201 },
  { country: 'IN', messages: 39, recipients: 150, refused: 160 },
  { country: 'CH', messages: 61, recipients: 118, refused: 0 },
  { country: '', messages: 12, recipients: 14, refused: 0 },
  { country: 'FR', messages: 9, recipients: 12, refused: 1 },
  { country: MARKUP, messages: 0, recipients: 0, refused: 1 },
]

export function statusAt(now: number): Status {
  return {
    version: '0.2.0',
    since: new Date(now - 9 * 24 * HOUR).toISOString(),
    mode: 'enforce',
    origin: 'variables',
    configuration: '/etc/univention-mtpolicyd/mtpolicyd.conf',
    endpoints: ['127.0.0.1:12345', '[::1]:12345'],
    connections: 14,
    requests: 48_211,
    refused: 1330,
    deadlines: 0,
    failures: 0,
    store: { state: 'ok', durability: 'normal' },
    geoip: { state: 'ok', ageDays: 12 },
    measures: 2,
    nearLimits: [
      { account: HACKED, limits: 'threshold', used: 1000, limit: 1000, at: now - 2 * HOUR },
      {
        account: 'newsletter@example.org',
        limits: 'threshold',
        used: 861,
        limit: 1000,
        at: now - HOUR,
      },
    ],
    warnings: [],
  }
}

export function findingsAt(now: number, language: string): Findings {
  const isGerman = language === 'de'
  return {
    at: now,
    findings: [
      {
        id: 'not-asked',
        subject: 'postfix',
        severity: 'error',
        where: '/etc/postfix/master.cf:17',
        service: 'smtps/inet',
        what: isGerman
          ? 'An smtps/inet melden sich Benutzer an, aber Postfix fragt den Dienst dort nicht.'
          : 'Users log in at smtps/inet, but Postfix does not query the daemon there.',
        why: isGerman
          ? 'Der Dienst hat eine eigene Liste, in der der Eintrag fehlt.'
          : 'The service has a list of its own, which lacks the item.',
        remedy: 'mtpolicyctl postfix register',
      },
      {
        id: 'geoip-old',
        subject: 'geoip',
        severity: 'note',
        where: '',
        service: '',
        what: isGerman ? 'Die Länderdaten sind 12 Tage alt.' : 'The country data is 12 days old.',
        why: '',
        remedy: '',
      },
    ],
    problems: [],
    services: [
      { service: 'submission/inet', answer: 'asked' },
      { service: 'smtps/inet', answer: 'not asked' },
    ],
  }
}

const CODE = '23456789ABCDEFGHJKLMNPQRSTUVWXYZ'

/** Ten thousand, the newest first. */
export function refusalsAt(now: number): RefusalLine[] {
  const random = numbers(99)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  return Array.from({ length: 10_000 }, (_, index) => {
    const code = Array.from({ length: 6 }, () => pick([...CODE])).join('')
    const isMarkup = index === 2
    const account = isMarkup ? MARKUP_ACCOUNT : random() < 0.9 ? HACKED : pick(accounts)
    const country = isMarkup ? MARKUP : pick(['BR', 'VN', 'RU', 'IN', 'ID', 'TR'])
    const byCountry = random() < 0.6
    return {
      code: `${code.slice(0, 3)}-${code.slice(3)}`,
      at: now - HOUR - index * 41_000,
      account,
      country,
      recipients: 1 + Math.floor(random() * 20),
      bytes: 900 + Math.floor(random() * 60_000),
      client: `203.0.113.${Math.floor(random() * 255)}`,
      sender: isMarkup ? MARKUP : `billing${index}@example.com`,
      helo: isMarkup ? MARKUP : `host${index % 90}.example.net`,
      recipient: '',
      action: byCountry
        ? `reject You cannot send mail from ${country}: allowed are DE, AT, CH`
        : 'reject You have reached your limit of 1,000 recipients per day; it begins again at 00:00',
      by: byCountry ? 'allowed-countries' : 'threshold',
    }
  })
}

const both = (en: string, de: string) => ({ en, de })

export function variableList(): Variable[] {
  return [
    {
      name: 'mtpolicyd/allowedcountries',
      isPattern: false,
      type: 'countries',
      default: 'DE',
      value: 'DE,AT,CH',
      set: 'DE,AT,CH',
      layer: 'normal',
      description: both(
        'Countries from which authenticated users may send mail: ISO 3166 codes separated by commas, or * for all countries.',
        'Länder, aus denen angemeldete Benutzer Mail senden dürfen: ISO-3166-Codes, durch Kommas getrennt, oder * für alle Länder.',
      ),
    },
    {
      name: 'mtpolicyd/threshold',
      isPattern: false,
      type: 'limit',
      default: '1000',
      value: '1000',
      layer: 'default',
      description: both(
        'Number of recipients to whom a user may send mail per day, or unlimited.',
        'Anzahl der Empfänger, an die ein Benutzer pro Tag Mail senden darf, oder unlimited für unbegrenzt.',
      ),
    },
    ...['hour', 'minute', 'rolling', 'message'].map(
      (part): Variable => ({
        name: `mtpolicyd/threshold/${part}`,
        isPattern: false,
        type: 'limit',
        emptyMeans: 'no limit',
        default: '',
        description: both(
          `Number of recipients to whom a user may send mail (${part}).`,
          `Anzahl der Empfänger, an die ein Benutzer Mail senden darf (${part}).`,
        ),
      }),
    ),
    {
      name: 'mtpolicyd/excess',
      isPattern: false,
      type: 'choice',
      choices: ['reject', 'defer', 'hold'],
      emptyMeans: 'reject',
      default: '',
      description: both(
        'What happens to mail that exceeds a limit.',
        'Was mit Mail geschieht, die ein Limit überschreitet.',
      ),
    },
    {
      name: 'mtpolicyd/debug',
      isPattern: false,
      type: 'int',
      min: '0',
      max: '4',
      default: '1',
      value: '2',
      set: '1',
      layer: 'forced',
      description: both('How much is logged.', 'Umfang des Protokolls.'),
    },
    {
      name: 'mtpolicyd/alert/webhook',
      isPattern: false,
      type: 'webaddress',
      default: '',
      value: 'https://chat.example.org/…',
      set: 'https://chat.example.org/…',
      layer: 'normal',
      locked: 'mtpolicyd/alert/webhook can be set on the host only',
      description: both('URL that alerts are posted to.', 'URL, an die gemeldet wird.'),
    },
    {
      name: 'mtpolicyd/mode',
      isPattern: false,
      type: 'choice',
      choices: ['enforce', 'observe'],
      default: 'enforce',
      value: 'enforce',
      layer: 'default',
      description: both(
        'enforce: reject mail that violates the rules. observe: evaluate, log and count everything, but reject nothing.',
        'enforce: Mail ablehnen, die gegen die Regeln verstößt. observe: alles prüfen, protokollieren und zählen, aber nichts ablehnen.',
      ),
    },
    {
      name: 'mtpolicyd/user/.*/threshold',
      isPattern: true,
      type: 'limit',
      default: '',
      description: both(
        'Number of recipients to whom this user may send mail per day.',
        'Anzahl der Empfänger, an die dieser Benutzer pro Tag Mail senden darf.',
      ),
    },
    {
      name: `mtpolicyd/user/${MARKUP_ACCOUNT}/threshold`,
      pattern: 'mtpolicyd/user/.*/threshold',
      isPattern: false,
      type: 'limit',
      default: '',
      value: '50',
      set: '50',
      layer: 'normal',
      description: both(
        'Number of recipients to whom this user may send mail per day.',
        'Anzahl der Empfänger, an die dieser Benutzer pro Tag Mail senden darf.',
      ),
    },
  ]
}
