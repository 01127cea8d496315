/**
 * Something that is wrong, or worth knowing, on a mail server: what, where, why it matters and how
 * to fix it. `status` and `doctor` print findings; any other observer of the server can, too.
 *
 * An `error` means that mail passes unchecked, or does not pass at all. A `warning` needs a look. A
 * `note` requires no action. Texts are in English and German, each a sentence without its period.
 */

export type Severity = 'error' | 'warning' | 'note'

/** What a finding is about, as `status` labels its lines. */
export type Subject =
  | 'daemon'
  | 'listening'
  | 'requests'
  | 'counts'
  | 'limits'
  | 'measures'
  | 'alerts'
  | 'GeoIP'
  | 'policy'
  | 'DNS'
  | 'DNS list'
  | 'plugin'
  | 'service'
  | 'log'
  | 'mail log'
  | 'history'
  | 'web console'
  | 'configuration'
  | 'clock'
  | 'disk'
  | 'Postfix'

export interface Words {
  readonly en: string
  readonly de: string
}

export interface Finding {
  /** Stable: programs may rely on it. */
  readonly id: string
  readonly subject: Subject
  readonly severity: Severity
  /** `FILE:LINE` where it is written, or what it is about. */
  readonly where: string
  /** The services concerned (`submission/inet`), separated by commas; may be empty. */
  readonly service: string
  readonly what: Words
  readonly why: Words
  /** The line to write or the command to run. */
  readonly remedy: Words
}

const ORDER: readonly Severity[] = ['error', 'warning', 'note']

/** Worst first, otherwise in the order given; what differs only by its service is one finding. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  const merged = new Map<string, Finding>()
  for (const finding of findings) {
    const key = [finding.id, finding.where, finding.what.en, finding.remedy.en].join('\n')
    const known = merged.get(key)
    merged.set(key, known ? { ...known, service: joined(known.service, finding.service) } : finding)
  }
  return [...merged.values()].toSorted(
    (a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity),
  )
}

/** Does an administrator have to do something? */
export function isTrouble({ severity }: Finding): boolean {
  return severity !== 'note'
}

/** What is the same in both languages: a command, another program's message. */
export function same(text: string): Words {
  return { en: text, de: text }
}

function joined(a: string, b: string): string {
  const all = [...a.split(', '), ...b.split(', ')].filter(name => name !== '')
  return [...new Set(all)].join(', ')
}

/** The language of messages, as setlocale(3) finds it. */
export function languageOf(env: Readonly<Record<string, string | undefined>>): keyof Words {
  const locale = env.LC_ALL || env.LC_MESSAGES || env.LANG || ''
  return /^de(?:[_.@]|$)/i.test(locale) ? 'de' : 'en'
}
