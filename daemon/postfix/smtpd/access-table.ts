/**
 * The results an access table may return (access(5)), as far as they can be read.
 *
 * `static:` and `inline:` contain them; cidr, pcre, regexp and texthash tables are text files that
 * smtpd reads at startup. All others are queried at run time and may return anything.
 */

import fs from 'node:fs'
import { tokenise } from './restriction-list.ts'

export interface TableAnswers {
  /** Each result once. */
  readonly answers: readonly string[]
  /** Returns its only result for every key. */
  readonly isAlways: boolean
}

/** The effect of a result. `list`: it is itself a list of restrictions. */
export type AnswerEffect =
  | 'nothing'
  | 'permit'
  | 'refuse'
  | 'discard'
  | 'hang up'
  | 'defer-if-permit'
  | 'defer-if-reject'
  | 'mistake'
  | 'list'

const MOST_BYTES = 1 << 20

/** undefined: any result is possible. */
export function tableAnswers(table: string): TableAnswers | undefined {
  const [, type = '', name = ''] = /^([a-z]+):([\s\S]*)$/.exec(table) ?? []
  if (type === 'fail') return { answers: ['451 4.3.5 Server configuration error'], isAlways: true }
  if (type === 'static') return { answers: [inner(name)], isAlways: true }
  if (type === 'inline') {
    const pairs = tokenise(inner(name)).map(({ text }) => inner(text).replace(/^[^=]*=\s*/, ''))
    return { answers: [...new Set(pairs)], isAlways: false }
  }
  if (['cidr', 'pcre', 'regexp', 'texthash'].includes(type)) {
    const answers = rightHandSides(type, name)
    return answers && { answers: [...new Set(answers)], isAlways: false }
  }
  return undefined
}

/** In the order of check_table_result in smtpd_check.c. */
export function effectOf(answer: string): AnswerEffect {
  const [, word = '', text = ''] = /^([^ \t]*)\s*([\s\S]*)$/.exec(answer) ?? []
  const action = ACTIONS.get(word.toUpperCase())
  if (action) return action
  // Digits alone mean OK, even 450: such tables store time stamps.
  if (/^\d+$/.test(answer)) return 'permit'
  if (/^[45]\d\d$/.test(word) && text !== '') return 'refuse'
  if (answer.includes(':')) return 'mistake'
  return tokenise(answer).length === 0 ? 'permit' : 'list'
}

const ACTIONS: ReadonlyMap<string, AnswerEffect> = new Map([
  ...['DUNNO', 'INFO', 'WARN', 'FILTER', 'HOLD', 'REDIRECT', 'BCC', 'PREPEND'].map(
    word => [word, 'nothing'] as const,
  ),
  ['OK', 'permit'],
  ['RELAY', 'permit'],
  ['REJECT', 'refuse'],
  ['DEFER', 'refuse'],
  ['HANGUP', 'hang up'],
  ['DISCARD', 'discard'],
  ['DEFER_IF_PERMIT', 'defer-if-permit'],
  ['DEFER_IF_REJECT', 'defer-if-reject'],
])

function inner(text: string): string {
  return text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1).trim() : text
}

/** The results of a table that is a text file; undefined if it cannot be read. */
function rightHandSides(type: string, file: string): string[] | undefined {
  let text: string
  try {
    if (fs.statSync(file).size > MOST_BYTES) return undefined
    text = fs.readFileSync(file, 'latin1')
  } catch {
    return undefined
  }
  const lines = text
    .replaceAll(/^\s*(#.*)?\n/gm, '')
    .replaceAll(/\n[ \t]+/g, ' ')
    .split('\n')
    .filter(line => line.trim() !== '')
  // Conditions exist where keys are patterns; elsewhere the word is a key.
  const isCondition = (line: string) =>
    type !== 'texthash' && /^\s*(?:endif\s*$|if\s*!?\s*\S)/i.test(line)
  const results = lines.filter(line => !isCondition(line)).map(line => resultOf(type, line))
  // Text matched by a pattern may become part of the result.
  return results.some(result => /\$[\d({]/.test(result)) ? undefined : results
}

function resultOf(type: string, line: string): string {
  if (type === 'texthash') return line.trim().replace(/^\S+\s+/, '')
  if (type === 'cidr') return line.trim().replace(/^!?\s*\S+\s+/, '')
  // /pattern/flags result, with any delimiter, perhaps behind a `!`; regexp: /pattern1/!/pattern2/.
  const pattern = line.trim().replace(/^[!\s]+/, '')
  const delimiter = pattern[0] ?? '/'
  let at = 1
  while (at < pattern.length && pattern[at] !== delimiter) at += pattern[at] === '\\' ? 2 : 1
  const rest = pattern.slice(at + 1).replace(/^[a-zA-Z]*\s*/, '')
  return rest.startsWith(`!${delimiter}`) ? resultOf(type, rest) : rest
}
