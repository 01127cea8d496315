/**
 * The host variables of this package, declared once.
 *
 * Name, type, default, range, English and German text: the commands, the web form, the manual,
 * UCR's description files and the check of templates are all drawn from this list. A name with
 * `.*` is a pattern; only patterns have a user part. Rules between two variables (a host that is not
 * loopback needs clients) stand at the end.
 */

import { printable, type TypeSpec } from './value-types.ts'

export interface Variable extends TypeSpec {
  /** In full; one `.*` in it makes it a pattern. */
  readonly name: string
  /** Empty = no default. */
  readonly default: string
  readonly description: { readonly en: string; readonly de?: string }
  readonly categories: string
}

const category = { categories: 'service-mail' }

export const declarations: readonly Variable[] = [
  {
    ...category,
    name: 'mtpolicyd/allowedcountries',
    type: 'countries',
    default: 'DE',
    description: {
      en: 'Countries from which authenticated users may send mail: ISO 3166 codes separated by commas, or * for all.',
      de: 'Länder, aus denen angemeldete Benutzer Mail senden dürfen: ISO-3166-Kürzel mit Kommas getrennt, oder * für alle.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/threshold',
    type: 'limit',
    default: '1000',
    description: {
      en: 'Number of e-mails a user may send per day, each recipient counted; or unlimited.',
      de: 'Anzahl der E-Mails, die ein Benutzer pro Tag senden darf, jeder Empfänger zählt; oder unlimited.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/mode',
    type: 'choice',
    choices: ['enforce', 'observe'],
    default: 'enforce',
    description: {
      en: 'enforce: refuse what the rules refuse. observe: decide, log and count everything, refuse nothing.',
      de: 'enforce: ablehnen, was die Regeln ablehnen. observe: alles entscheiden, protokollieren und zählen, nichts ablehnen.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/debug',
    type: 'int',
    min: '0',
    max: '4',
    default: '1',
    description: {
      en: 'How much is logged: 0 nearly nothing, 1 one line per verdict, up to 4 everything.',
      de: 'Umfang des Protokolls: 0 fast nichts, 1 eine Zeile je Entscheidung, bis 4 alles.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/host',
    type: 'host',
    default: 'localhost',
    description: {
      en: 'Name or address on which the daemon listens; localhost is 127.0.0.1 and ::1. Anything else needs mtpolicyd/clients.',
      de: 'Name oder Adresse, auf der der Dienst lauscht; localhost ist 127.0.0.1 und ::1. Alles andere braucht mtpolicyd/clients.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/port',
    type: 'portnumber',
    min: '1',
    default: '12345',
    description: {
      en: 'TCP port on which the daemon listens.',
      de: 'TCP-Port, auf dem der Dienst lauscht.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/clients',
    type: 'networks',
    default: '',
    description: {
      en: 'Addresses and networks that may connect, separated by commas; needed when mtpolicyd/host is not loopback.',
      de: 'Adressen und Netze, die sich verbinden dürfen, mit Kommas getrennt; nötig, wenn mtpolicyd/host nicht Loopback ist.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/timezone',
    type: 'timezone',
    default: '',
    description: {
      en: "Time zone in which the day of mtpolicyd/threshold begins; empty: the host's.",
      de: 'Zeitzone, in der der Tag von mtpolicyd/threshold beginnt; leer: die des Rechners.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/unknowncountry',
    type: 'choice',
    choices: ['pass', 'refuse'],
    default: 'pass',
    description: {
      en: 'What happens to mail from a public address whose country is not known.',
      de: 'Was mit Mail von einer öffentlichen Adresse geschieht, deren Land nicht bekannt ist.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/defaultdomain',
    type: 'domain',
    default: '',
    description: {
      en: 'Domain that is cut off a login name, so that alice and alice@example.org are one account.',
      de: 'Domäne, die vom Anmeldenamen abgeschnitten wird, sodass alice und alice@example.org ein Konto sind.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/durability',
    type: 'choice',
    choices: ['normal', 'full'],
    default: 'normal',
    description: {
      en: 'normal: counts survive a crash of the daemon. full: also a power cut, at the cost of speed.',
      de: 'normal: Zähler überleben einen Absturz des Dienstes. full: auch einen Stromausfall, auf Kosten der Geschwindigkeit.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/geoip/database',
    type: 'path',
    default: '',
    description: {
      en: "Path of a GeoIP database of your own (.mmdb); empty: the package's.",
      de: 'Pfad einer eigenen GeoIP-Datenbank (.mmdb); leer: die des Pakets.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/log/format',
    type: 'choice',
    choices: ['logfmt', 'json'],
    default: 'logfmt',
    description: { en: 'Format of the log lines.', de: 'Format der Protokollzeilen.' },
  },
  {
    ...category,
    name: 'mtpolicyd/postfix/register',
    type: 'bool',
    default: 'true',
    description: {
      en: 'Whether the package enters itself into the configuration of Postfix.',
      de: 'Ob sich das Paket in die Konfiguration von Postfix einträgt.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/user/.*/threshold',
    type: 'limit',
    default: '',
    description: {
      en: 'mtpolicyd/threshold for one user; unlimited is possible.',
      de: 'mtpolicyd/threshold für einen einzelnen Benutzer; unlimited ist möglich.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/user/.*/allowedcountries',
    type: 'countries',
    default: '',
    description: {
      en: 'mtpolicyd/allowedcountries for one user; * is possible.',
      de: 'mtpolicyd/allowedcountries für einen einzelnen Benutzer; * ist möglich.',
    },
  },
]

export function isPattern(name: string): boolean {
  return name.includes('.*')
}

/** What stands for `.*` in a key that the pattern matches, or undefined. */
export function patternPart(pattern: string, key: string): string | undefined {
  const [before = '', after = ''] = pattern.split('.*')
  if (!key.startsWith(before) || !key.endsWith(after)) return undefined
  return key.length < before.length + after.length
    ? undefined
    : key.slice(before.length, key.length - after.length)
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

/** Rules between variables; each line is for the operator. */
export function contradictions(values: ReadonlyMap<string, string>): string[] {
  const host = values.get('mtpolicyd/host') ?? 'localhost'
  if (isLoopback(host) || (values.get('mtpolicyd/clients') ?? '') !== '') return []
  return [
    `mtpolicyd/host=${printable(host)} is not loopback: set mtpolicyd/clients to the addresses that may connect, in the same call or before`,
  ]
}
