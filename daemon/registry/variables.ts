/**
 * The host variables of this package, declared once.
 *
 * Name, type, default, range, English and German text: the commands, the web form, the manual,
 * UCR's description files and the check of templates are all derived from this list. A name with
 * `.*` is a pattern; it stands for a user or a domain. Rules that involve two variables (a host that
 * is not loopback needs clients) are at the end.
 */

import { isLoopbackHost } from '../net/loopback.ts'
import { printable, type TypeSpec } from './value-types.ts'

export interface Variable extends TypeSpec {
  /** The full name; one `.*` in it makes it a pattern. */
  readonly name: string
  /** Empty: no default. */
  readonly default: string
  readonly description: { readonly en: string; readonly de?: string }
  readonly categories: string
}

const category = { categories: 'service-mail' }

/** A limit that is not there unless it is set. */
function limit(name: string, en: string, de: string): Variable {
  const isOne = !isPattern(name)
  return {
    ...category,
    name,
    type: 'limit',
    ...(isOne ? { emptyMeans: 'no limit' } : {}),
    default: '',
    description: { en, de },
  }
}

export const declarations: readonly Variable[] = [
  {
    ...category,
    name: 'mtpolicyd/allowedcountries',
    type: 'countries',
    default: 'DE',
    description: {
      en: 'Countries from which authenticated users may send mail: ISO 3166 codes separated by commas, or * for all countries.',
      de: 'Länder, aus denen angemeldete Benutzer Mail senden dürfen: ISO-3166-Codes, durch Kommas getrennt, oder * für alle Länder.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/threshold',
    type: 'limit',
    default: '1000',
    description: {
      en: 'Number of recipients to whom a user may send mail per day, or unlimited.',
      de: 'Anzahl der Empfänger, an die ein Benutzer pro Tag Mail senden darf, oder unlimited für unbegrenzt.',
    },
  },
  limit(
    'mtpolicyd/threshold/rolling',
    'Number of recipients to whom a user may send mail within any 24 hours, whereas mtpolicyd/threshold counts from midnight.',
    'Anzahl der Empfänger, an die ein Benutzer innerhalb von 24 Stunden Mail senden darf, egal wann sie beginnen; mtpolicyd/threshold zählt dagegen ab Mitternacht.',
  ),
  limit(
    'mtpolicyd/threshold/hour',
    'Number of recipients to whom a user may send mail within any 60 minutes.',
    'Anzahl der Empfänger, an die ein Benutzer innerhalb von 60 Minuten Mail senden darf.',
  ),
  limit(
    'mtpolicyd/threshold/minute',
    'Number of recipients to whom a user may send mail within any 60 seconds.',
    'Anzahl der Empfänger, an die ein Benutzer innerhalb von 60 Sekunden Mail senden darf.',
  ),
  limit(
    'mtpolicyd/threshold/message',
    'Number of recipients that a single message may have.',
    'Anzahl der Empfänger, die eine einzelne Nachricht haben darf.',
  ),
  limit(
    'mtpolicyd/server/threshold',
    'Number of recipients to whom all users together may send mail per day.',
    'Anzahl der Empfänger, an die alle Benutzer zusammen pro Tag Mail senden dürfen.',
  ),
  limit(
    'mtpolicyd/server/threshold/hour',
    'Number of recipients to whom all users together may send mail within any 60 minutes.',
    'Anzahl der Empfänger, an die alle Benutzer zusammen innerhalb von 60 Minuten Mail senden dürfen.',
  ),
  {
    ...category,
    name: 'mtpolicyd/excess',
    type: 'choice',
    choices: ['reject', 'defer', 'hold'],
    emptyMeans: 'reject',
    default: '',
    description: {
      en: 'What happens to mail that exceeds a limit. reject: it is refused for good. defer: it is refused for now, and can be sent again later. hold: it is accepted, but waits in the queue until the administrator releases it (postsuper -H).',
      de: 'Was mit Mail geschieht, die ein Limit überschreitet. reject: Sie wird endgültig abgelehnt. defer: Sie wird vorläufig abgelehnt und kann später noch einmal gesendet werden. hold: Sie wird angenommen, wartet aber in der Warteschlange, bis der Administrator sie freigibt (postsuper -H).',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/language',
    type: 'choice',
    choices: ['en', 'de', 'fr'],
    emptyMeans: 'en',
    default: '',
    description: {
      en: 'Language in which users are told why their mail was refused: English, German or French.',
      de: 'Sprache, in der Benutzer erfahren, warum ihre Mail abgelehnt wurde: Englisch, Deutsch oder Französisch.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/maillog',
    type: 'maillog',
    default: '',
    description: {
      en: "Where Postfix's log is read, so that mail which a milter refuses in the end is not counted: auto, the path of a file, journal, or none; empty: auto.",
      de: 'Wo das Protokoll von Postfix gelesen wird, damit Mail, die ein Milter am Ende doch ablehnt, nicht mitzählt: auto, der Pfad einer Datei, journal oder none (gar nicht); leer: auto.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/allowednetworks',
    type: 'networks',
    default: '',
    description: {
      en: "Addresses and networks, separated by commas, from which authenticated users may send mail whatever the country, such as the office's VPN or the relays of a provider.",
      de: 'Adressen und Netze, durch Kommas getrennt, aus denen angemeldete Benutzer unabhängig vom Land Mail senden dürfen, etwa das VPN der Firma oder die Relays eines Anbieters.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/mode',
    type: 'choice',
    choices: ['enforce', 'observe'],
    default: 'enforce',
    description: {
      en: 'enforce: reject mail that violates the rules. observe: evaluate, log and count everything, but reject nothing.',
      de: 'enforce: Mail ablehnen, die gegen die Regeln verstößt. observe: alles prüfen, protokollieren und zählen, aber nichts ablehnen.',
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
      en: 'How much is logged: 0 errors only, 1 one line per verdict, up to 4 everything.',
      de: 'Umfang des Protokolls: 0 nur Fehler, 1 eine Zeile je Entscheidung, bis 4 alles.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/host',
    type: 'host',
    default: 'localhost',
    description: {
      en: 'Name or address on which the daemon listens; localhost means 127.0.0.1 and ::1. Any other value requires mtpolicyd/clients.',
      de: 'Name oder Adresse, auf der der Dienst lauscht; localhost steht für 127.0.0.1 und ::1. Jeder andere Wert erfordert mtpolicyd/clients.',
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
      en: 'Addresses and networks that may connect, separated by commas; required if mtpolicyd/host is not a loopback address.',
      de: 'Adressen und Netze, die sich verbinden dürfen, durch Kommas getrennt; erforderlich, wenn mtpolicyd/host keine Loopback-Adresse ist.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/timezone',
    type: 'timezone',
    default: '',
    description: {
      en: 'Time zone that determines when a day begins for mtpolicyd/threshold; empty: the time zone of this host.',
      de: 'Zeitzone, nach der für mtpolicyd/threshold ein neuer Tag beginnt; leer: die Zeitzone dieses Rechners.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/unknowncountry',
    type: 'choice',
    choices: ['pass', 'refuse'],
    default: 'pass',
    description: {
      en: 'What to do with mail from a public address whose country is unknown.',
      de: 'Was mit Mail von einer öffentlichen Adresse geschieht, deren Land unbekannt ist.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/defaultdomain',
    type: 'domain',
    default: '',
    description: {
      en: 'Domain that is removed from login names, so that alice and alice@example.org count as one account.',
      de: 'Domain, die aus Anmeldenamen entfernt wird, sodass alice und alice@example.org als ein Konto zählen.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/durability',
    type: 'choice',
    choices: ['normal', 'full'],
    default: 'normal',
    description: {
      en: 'normal: counts survive a crash of the daemon. full: they also survive a power failure, at the cost of speed.',
      de: 'normal: Die Zähler überstehen einen Absturz des Dienstes. full: auch einen Stromausfall, auf Kosten der Geschwindigkeit.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/geoip/database',
    type: 'path',
    default: '',
    description: {
      en: 'Path of your own GeoIP database (.mmdb); empty: the one shipped with the package.',
      de: 'Pfad einer eigenen GeoIP-Datenbank (.mmdb); leer: die mitgelieferte.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/history/days',
    type: 'int',
    min: '0',
    max: '366',
    default: '90',
    description: {
      en: "For how many days the history is kept, 0: not at all. It contains personal data: per account and hour how much was sent; countries, networks and names of the clients; the account's last 50 messages (time, queue id, address of the client, number of recipients, size); refused requests with sender and recipient.",
      de: 'Wie viele Tage der Verlauf aufbewahrt wird, 0: gar nicht. Er enthält personenbezogene Daten: je Konto und Stunde, wie viel gesendet wurde; Länder, Netze und Namen der Clients; die letzten 50 Nachrichten des Kontos (Zeit, Queue-ID, Adresse des Clients, Zahl der Empfänger, Größe); abgelehnte Anfragen mit Absender und Empfänger.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/alert/mail',
    type: 'addresses',
    default: 'root',
    description: {
      en: 'Who is told by mail what needs attention: an account near a limit or at it, a refused country, a block, trouble of the daemon. Addresses separated by commas, or none.',
      de: 'Wer per Mail erfährt, was Aufmerksamkeit braucht: ein Konto nahe an einem Limit oder darüber, ein abgelehntes Land, eine Sperre, eine Störung des Dienstes. Adressen, durch Kommas getrennt, oder none für niemanden.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/alert/near',
    type: 'int',
    min: '1',
    max: '100',
    default: '80',
    description: {
      en: 'Percentage of a limit from which on an account is near it, and is told.',
      de: 'Prozentsatz eines Limits, ab dem ein Konto als nahe daran gilt und gemeldet wird.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/alert/webhook',
    type: 'webaddress',
    default: '',
    description: {
      en: 'URL that alerts are posted to, for a program or a chat; empty: none. They are signed if there is a secret (mtpolicyctl alert secret).',
      de: 'URL, an die Benachrichtigungen geschickt werden, für ein Programm oder einen Chat; leer: keine. Sie sind signiert, wenn es ein Geheimnis gibt (mtpolicyctl alert secret).',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/alert/webhook/format',
    type: 'choice',
    choices: ['json', 'slack', 'mattermost', 'matrix', 'ntfy'],
    emptyMeans: 'json',
    default: '',
    description: {
      en: 'What is posted there: JSON for a program, or what Slack, Mattermost, Matrix or ntfy understand (Discord: slack).',
      de: 'Was dorthin geschickt wird: JSON für ein Programm, oder was Slack, Mattermost, Matrix oder ntfy verstehen (Discord: slack).',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/alert/command',
    type: 'path',
    default: '',
    description: {
      en: 'Absolute path of a program that is run for each alert, which is on its standard input as JSON; empty: none.',
      de: 'Absoluter Pfad eines Programms, das für jede Benachrichtigung aufgerufen wird und sie als JSON auf seiner Standardeingabe findet; leer: keines.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/alert/user',
    type: 'choice',
    choices: ['off', 'warn', 'all'],
    default: 'off',
    description: {
      en: 'Whether users get a mail about their own account. warn: when it comes near a limit. all: when mail was refused, too.',
      de: 'Ob Benutzer eine Mail über ihr eigenes Konto bekommen. warn: wenn es sich einem Limit nähert. all: auch wenn Mail abgelehnt wurde.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/alert/sender',
    type: 'mailaddress',
    default: '',
    description: {
      en: 'Address from which alerts are sent by mail; empty: root at this host.',
      de: 'Adresse, von der Benachrichtigungen per Mail kommen; leer: root auf diesem Rechner.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/alert/language',
    type: 'choice',
    choices: ['en', 'de', 'fr'],
    emptyMeans: 'what mtpolicyd/language says',
    default: '',
    description: {
      en: 'Language of alerts: English, German or French; empty: mtpolicyd/language.',
      de: 'Sprache der Benachrichtigungen: Englisch, Deutsch oder Französisch; leer: mtpolicyd/language.',
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
      en: "Whether the package registers the daemon in Postfix's configuration.",
      de: 'Ob das Paket den Dienst in die Konfiguration von Postfix einträgt.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/web/port',
    type: 'portnumber',
    min: '1',
    emptyMeans: 'no web console',
    default: '',
    description: {
      en: 'Port of the web console; empty: there is none. mtpolicyctl web on sets it and prints a link that logs in.',
      de: 'Port der Web-Konsole; leer: Es gibt keine. mtpolicyctl web on setzt ihn und gibt einen Link zum Anmelden aus.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/web/host',
    type: 'hostorpath',
    default: 'localhost',
    description: {
      en: 'Where the web console listens: localhost, an address, or the absolute path of a unix socket for a reverse proxy. It has no encryption of its own: from other hosts it is to be reached through a reverse proxy or ssh -L.',
      de: 'Wo die Web-Konsole lauscht: localhost, eine Adresse oder der absolute Pfad eines Unix-Sockets für einen Reverse-Proxy. Sie verschlüsselt nicht selbst; von anderen Rechnern aus soll sie über einen Reverse-Proxy oder ssh -L erreicht werden.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/web/path',
    type: 'webpath',
    default: '',
    description: {
      en: 'Path below which a reverse proxy shows the web console, such as /mail; empty: at the top.',
      de: 'Pfad, unter dem ein Reverse-Proxy die Web-Konsole zeigt, etwa /mail; leer: ganz oben.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/web/names',
    type: 'hostnames',
    default: '',
    description: {
      en: 'Names, separated by commas, by which browsers reach the web console through a reverse proxy, such as console.example.org. Requests under other names are refused.',
      de: 'Namen, durch Kommas getrennt, unter denen Browser die Web-Konsole über einen Reverse-Proxy erreichen, etwa console.example.org. Anfragen unter anderen Namen werden abgewiesen.',
    },
  },
  limit(
    'mtpolicyd/user/.*/threshold',
    'mtpolicyd/threshold for a single user. unlimited also lifts the other limits of this user, except the one on recipients per message and any that is set for this very user.',
    'mtpolicyd/threshold für einen einzelnen Benutzer. unlimited hebt auch die übrigen Limits dieses Benutzers auf, außer dem für die Empfänger einer Nachricht und denen, die eigens für ihn gesetzt sind.',
  ),
  limit(
    'mtpolicyd/user/.*/threshold/rolling',
    'mtpolicyd/threshold/rolling for a single user, or unlimited.',
    'mtpolicyd/threshold/rolling für einen einzelnen Benutzer, oder unlimited.',
  ),
  limit(
    'mtpolicyd/user/.*/threshold/hour',
    'mtpolicyd/threshold/hour for a single user, or unlimited.',
    'mtpolicyd/threshold/hour für einen einzelnen Benutzer, oder unlimited.',
  ),
  limit(
    'mtpolicyd/user/.*/threshold/minute',
    'mtpolicyd/threshold/minute for a single user, or unlimited.',
    'mtpolicyd/threshold/minute für einen einzelnen Benutzer, oder unlimited.',
  ),
  limit(
    'mtpolicyd/user/.*/threshold/message',
    'mtpolicyd/threshold/message for a single user, or unlimited.',
    'mtpolicyd/threshold/message für einen einzelnen Benutzer, oder unlimited.',
  ),
  {
    ...category,
    name: 'mtpolicyd/user/.*/allowedcountries',
    type: 'countries',
    default: '',
    description: {
      en: 'mtpolicyd/allowedcountries for a single user, or * for all countries.',
      de: 'mtpolicyd/allowedcountries für einen einzelnen Benutzer, oder * für alle Länder.',
    },
  },
  {
    ...category,
    name: 'mtpolicyd/user/.*/allowednetworks',
    type: 'networks',
    default: '',
    description: {
      en: 'Further addresses and networks from which a single user may send mail whatever the country, in addition to mtpolicyd/allowednetworks.',
      de: 'Weitere Adressen und Netze, aus denen ein einzelner Benutzer unabhängig vom Land Mail senden darf, zusätzlich zu mtpolicyd/allowednetworks.',
    },
  },
  limit(
    'mtpolicyd/domain/.*/threshold',
    'Number of recipients to whom all users of a domain together may send mail per day.',
    'Anzahl der Empfänger, an die alle Benutzer einer Domain zusammen pro Tag Mail senden dürfen.',
  ),
  limit(
    'mtpolicyd/domain/.*/threshold/hour',
    'Number of recipients to whom all users of a domain together may send mail within any 60 minutes.',
    'Anzahl der Empfänger, an die alle Benutzer einer Domain zusammen innerhalb von 60 Minuten Mail senden dürfen.',
  ),
  limit(
    'mtpolicyd/domain/.*/user/threshold',
    'mtpolicyd/threshold for each user of a domain, unless it is set for that user.',
    'mtpolicyd/threshold für jeden Benutzer einer Domain, für den kein eigener Wert gesetzt ist.',
  ),
  limit(
    'mtpolicyd/domain/.*/user/threshold/rolling',
    'mtpolicyd/threshold/rolling for each user of a domain, unless it is set for that user.',
    'mtpolicyd/threshold/rolling für jeden Benutzer einer Domain, für den kein eigener Wert gesetzt ist.',
  ),
  limit(
    'mtpolicyd/domain/.*/user/threshold/hour',
    'mtpolicyd/threshold/hour for each user of a domain, unless it is set for that user.',
    'mtpolicyd/threshold/hour für jeden Benutzer einer Domain, für den kein eigener Wert gesetzt ist.',
  ),
  limit(
    'mtpolicyd/domain/.*/user/threshold/minute',
    'mtpolicyd/threshold/minute for each user of a domain, unless it is set for that user.',
    'mtpolicyd/threshold/minute für jeden Benutzer einer Domain, für den kein eigener Wert gesetzt ist.',
  ),
  limit(
    'mtpolicyd/domain/.*/user/threshold/message',
    'mtpolicyd/threshold/message for each user of a domain, unless it is set for that user.',
    'mtpolicyd/threshold/message für jeden Benutzer einer Domain, für den kein eigener Wert gesetzt ist.',
  ),
]

export function isPattern(name: string): boolean {
  return name.includes('.*')
}

/** The part of a key that `.*` of the matching pattern stands for, or undefined. */
export function patternPart(pattern: string, key: string): string | undefined {
  const [before = '', after = ''] = pattern.split('.*')
  if (!key.startsWith(before) || !key.endsWith(after)) return undefined
  return key.length < before.length + after.length
    ? undefined
    : key.slice(before.length, key.length - after.length)
}

/** Rules that involve several variables; each line is for the operator. */
export function contradictions(values: ReadonlyMap<string, string>): string[] {
  const host = values.get('mtpolicyd/host') ?? 'localhost'
  if (isLoopbackHost(host) || (values.get('mtpolicyd/clients') ?? '') !== '') return []
  return [
    `mtpolicyd/host=${printable(host)} is not a loopback address: set mtpolicyd/clients to the addresses that may connect, first or in the same call`,
  ]
}
