/**
 * logfmt: `key=value` pairs on one line, for people and for grep.
 *
 * A value is quoted if it is empty or has a space, a quote, an equals sign or anything that is not
 * printable; inside quotes `"` and `\` are escaped and control characters become \xHH, so no value
 * can look like another field or another line.
 */

import type { FactValue } from '../policy/facts.ts'
import type { Fields } from '../policy/ports/log.ts'
import type { VerdictRecord } from '../policy/verdict-record.ts'
import type { LineBuffer } from './line-buffer.ts'

/** Most values: printable ASCII without quote, equals sign and backslash. */
const SIMPLE = /^[!#-<>-[\]-~]+$/
const PLAIN = /^[^\s"=\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u
const SPECIAL = /["\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

export function logfmtValue(value: string | number | boolean): string {
  if (typeof value !== 'string') return String(value)
  if (value === '') return '""'
  if (SIMPLE.test(value) || PLAIN.test(value)) return value
  return `"${value.toWellFormed().replace(SPECIAL, escapeCharacter)}"`
}

function escapeCharacter(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`
  if (character === '\n') return '\\n'
  if (character === '\r') return '\\r'
  if (character === '\t') return '\\t'
  const code = character.codePointAt(0) ?? 0
  return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
}

export function logfmtFields(fields: Fields): string {
  let line = ''
  for (const name in fields) {
    const value = fields[name]
    if (value === undefined) continue
    line += `${line === '' ? '' : ' '}${name}=${logfmtValue(value)}`
  }
  return line
}

/** By the code of a character: may it be in a `SIMPLE` value? */
const SIMPLE_CHARACTERS = Uint8Array.from({ length: 128 }, (_, code) =>
  SIMPLE.test(String.fromCharCode(code)) ? 1 : 0,
)

/** As `logfmtFields`, for the line that nearly every request makes. */
export function addVerdict(line: LineBuffer, record: VerdictRecord): void {
  const { facts, factNames, sent, code, why, decided, objections } = record
  addValue(line, 'instance=', record.instance)
  addValue(line, ' user=', record.user)
  addValue(line, ' client=', record.client)
  for (const { name, head } of factNames.client) addFact(line, head, facts[name])
  addValue(line, ' rcpt=', record.recipients)
  addValue(line, ' size=', record.size)
  if (sent !== undefined) addValue(line, ' verdict=', sent)
  if (code !== '') addValue(line, ' code=', code)
  if (why !== 'decided' && why !== 'observed') {
    addValue(line, ' why=', why)
    if (decided && decided.action !== record.action) addValue(line, ' decided=', decided.action)
  }
  const [objection] = objections
  if (objection) addValue(line, ' observed=', objection.action)
  addValue(line, ' by=', record.by)
  for (const { name, head } of factNames.decision) addFact(line, head, facts[name])
  line.text(' ms=')
  line.milliseconds(record.milliseconds)
}

function addFact(line: LineBuffer, head: string, value: FactValue | undefined): void {
  if (value !== undefined) addValue(line, head, value)
}

/** A plugin of the operator's own may have noted anything. */
function addValue(line: LineBuffer, head: string, value: FactValue): void {
  line.text(head)
  if (typeof value === 'number') line.number(value)
  else if (
    typeof value !== 'string' ||
    value === '' ||
    !line.textOnlyOf(SIMPLE_CHARACTERS, value)
  ) {
    line.text(logfmtValue(value))
  }
}
