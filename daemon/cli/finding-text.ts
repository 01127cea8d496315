/** Findings as people and programs read them. */

import { type Finding, type Severity, sortFindings, type Words } from '../policy/finding.ts'
import { oneLine } from '../policy/verdict.ts'
import { wrap } from '../text/wrap.ts'

const COLUMNS = 79

export type Language = keyof Words

const LABELS: Readonly<Record<Severity, Words>> = {
  error: { en: 'ERROR', de: 'FEHLER' },
  warning: { en: 'WARNING', de: 'WARNUNG' },
  note: { en: 'NOTE', de: 'HINWEIS' },
}
const FIX: Words = { en: 'Fix:', de: 'Abhilfe:' }

/** For programs, in English whatever the locale. */
export function findingJson({ what, why, remedy, ...rest }: Finding) {
  return { ...rest, what: what.en, why: why.en, remedy: remedy.en }
}

/**
 * Worst first, an empty line between two, 80 columns except where a path or a word is longer. Lines
 * that are to be pasted stand at the margin, and break as main.cf and master.cf may.
 */
export function findingsText(findings: readonly Finding[], language: Language): string {
  return sortFindings(findings)
    .map(finding => findingText(finding, language))
    .join('\n')
}

function findingText(finding: Finding, language: Language): string {
  const { id, severity, where, service, what, why, remedy } = finding
  const head = `${LABELS[severity][language]} ${id}${service === '' ? '' : ` (${service})`}`
  const [action = '', ...lines] = remedy[language].split('\n')
  const body = [
    ...indented(`${where}:`, 2),
    ...indented(`${what[language]}.`, 2),
    ...indented(`${sentence(why[language])}.`, 2),
    ...indented(`${FIX[language]} ${action}`, 2),
    ...(lines.length > 0 ? ['', ...lines.flatMap(toPaste)] : []),
  ]
  return `${[...wrap(head, COLUMNS), ...body].join('\n')}\n`
}

/** A line that begins with white space continues the line above, in both files. */
function toPaste(line: string): string[] {
  const [, blanks = '', text = ''] = /^( *)(.*)$/s.exec(oneLine(line)) ?? []
  const [first = '', ...rest] = wrap(text, COLUMNS - 4)
  return [blanks + first, ...rest.map(more => `    ${more}`)]
}

function indented(text: string, by: number): string[] {
  // What is quoted from a file must not control the terminal.
  return wrap(oneLine(text), COLUMNS - by).map(line => ' '.repeat(by) + line)
}

function sentence(text: string): string {
  // Not a parameter's name.
  return text.replace(/^\p{Ll}(?=\p{L}*[\s,])/u, first => first.toUpperCase())
}
