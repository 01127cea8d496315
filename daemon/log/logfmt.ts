/**
 * logfmt: `key=value` pairs on one line, for people and for grep.
 *
 * A value is quoted if it is empty or has a blank, a quote, an equals sign or anything that is not
 * printable; inside quotes `"` and `\` are escaped and control characters become \xHH, so no value
 * can look like another field or another line.
 */

import type { Fields, VerdictFields } from '../policy/log.ts'

/** Most values: printable ASCII without quote, equals sign and backslash. */
const SIMPLE = /^[!#-<>-[\]-~]+$/
const PLAIN = /^[^\s"=\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+$/u
const SPECIAL = /["\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

export function logfmtValue(value: string | number | boolean): string {
  if (typeof value !== 'string') return String(value)
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

/** As `logfmtFields`, for the line that nearly every request makes. */
export function logfmtVerdict(fields: VerdictFields): string {
  const { instance, user, client, country, rcpt, size, verdict, observed, by, used, limit, ms } =
    fields
  const optional = (name: string, value: string | number | undefined): string =>
    value === undefined ? '' : ` ${name}=${logfmtValue(value)}`
  return (
    `instance=${logfmtValue(instance)} user=${logfmtValue(user)} client=${logfmtValue(client)}` +
    `${optional('country', country)} rcpt=${rcpt} size=${size} verdict=${logfmtValue(verdict)}` +
    `${optional('observed', observed)} by=${logfmtValue(by)}` +
    `${optional('used', used)}${optional('limit', limit)} ms=${ms}`
  )
}
