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

function optional<T extends string | number>(
  head: string,
  value: T | undefined,
  write: (value: T) => string = logfmtValue,
): string {
  return value === undefined ? '' : head + write(value)
}

/** Of what is most often the same as in the line before. */
function repeated(): (value: string) => string {
  let last = ''
  let written = logfmtValue(last)
  return value => {
    if (value !== last) {
      last = value
      written = logfmtValue(value)
    }
    return written
  }
}

const countryValue = repeated()
const verdictValue = repeated()

/** As `logfmtFields`, for the line that nearly every request makes. */
export function logfmtVerdict(fields: VerdictFields): string {
  const { instance, user, client, country, rcpt, size, verdict, observed, by, used, limit, ms } =
    fields
  return (
    `instance=${logfmtValue(instance)} user=${logfmtValue(user)} client=${logfmtValue(client)}` +
    `${optional(' country=', country, countryValue)} rcpt=${rcpt} size=${size}` +
    ` verdict=${verdictValue(verdict)}` +
    `${optional(' observed=', observed)} by=${logfmtValue(by)}` +
    `${optional(' used=', used)}${optional(' limit=', limit)} ms=${milliseconds(ms)}`
  )
}

const THOUSANDTHS = Array.from({ length: 1000 }, (_, i) => String(i).padStart(3, '0'))

/** To the microsecond. V8 keeps the text of each fraction that it makes one of, for the next full collection. */
function milliseconds(time: number): string {
  const microseconds = Math.round(time * 1000)
  if (!(microseconds >= 0 && microseconds <= Number.MAX_SAFE_INTEGER)) return String(time)
  return `${Math.floor(microseconds / 1000)}.${THOUSANDTHS[microseconds % 1000]}`
}
