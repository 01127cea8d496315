/**
 * logfmt: `key=value` pairs on one line, for people and for grep.
 *
 * A value is quoted if it is empty or has a blank, a quote, an equals sign or anything that is not
 * printable; inside quotes `"` and `\` are escaped and control characters become \xHH, so no value
 * can look like another field or another line.
 */

import type { Fields } from '../policy/log.ts'

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

/** ` name=` by name: there are few, and each line has most of them. */
const heads = new Map<string, string>()
const MOST_HEADS = 1000

function headOf(name: string): string {
  let head = heads.get(name)
  if (head === undefined) {
    head = ` ${name}=`
    if (heads.size < MOST_HEADS) heads.set(name, head)
  }
  return head
}

export function logfmtFields(fields: Fields): string {
  let line = ''
  for (const name in fields) {
    const value = fields[name]
    if (value === undefined) continue
    line += line === '' ? `${name}=` : headOf(name)
    line += logfmtValue(value)
  }
  return line
}
