/**
 * A login name inside the key of a variable, and back: mtpolicyd/user/NAME/threshold.
 *
 * Names are folded as the daemon folds sasl_username; what a key may not hold, `/` and `^` are
 * written ^XX, byte by byte of UTF-8. A name that no block of the configuration can carry is
 * refused here, when it is set, and not when the daemon reads it.
 */

import { LINE_BREAKER } from './value-types.ts'
import { declarations, patternPart } from './variables.ts'

/** What UCR's rules forbid in a key, and what would cut one of ours in two. */
export const FORBIDDEN_IN_KEYS = /[\p{Cc}[\]!"#$%&'()+,;<=>?\\`{}\xa7]/u

/** A login name as part of a key: lower case, everything a key may not hold written ^XX. */
export function userKey(name: string): string {
  const encoder = new TextEncoder()
  return Array.from(name.toLowerCase(), character => {
    const stays = !FORBIDDEN_IN_KEYS.test(character) && !/[\s/*^:\u2028\u2029]/u.test(character)
    if (stays) return character
    return Array.from(encoder.encode(character), byte => {
      return `^${byte.toString(16).toUpperCase().padStart(2, '0')}`
    }).join('')
  }).join('')
}

/** The login name of a key's user part; undefined if its ^XX do not make a text. */
export function userName(part: string): string | undefined {
  const bytes: number[] = []
  const encoder = new TextEncoder()
  for (let i = 0; i < part.length; ) {
    if (part[i] === '^') {
      const hex = part.slice(i + 1, i + 3)
      if (!/^[0-9a-f]{2}$/i.test(hex)) return undefined
      bytes.push(Number.parseInt(hex, 16))
      i += 3
    } else {
      const character = String.fromCodePoint(part.codePointAt(i) ?? 0)
      bytes.push(...encoder.encode(character))
      i += character.length
    }
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
      .decode(Uint8Array.from(bytes))
      .toLowerCase()
  } catch {
    return undefined
  }
}

const USER_PATTERNS = declarations.filter(({ name }) => name.startsWith('mtpolicyd/user/.*/'))

/** The one spelling of a key: `mtpolicyd/user/Alice/threshold` is `.../alice/...`. Other keys stay. */
export function canonicalKey(key: string): string {
  for (const { name: pattern } of USER_PATTERNS) {
    const part = patternPart(pattern, key)
    if (part === undefined || part === '') continue
    const name = userName(part)
    if (name !== undefined) return pattern.replace('.*', () => userKey(name))
  }
  return key
}

/**
 * Why a user's name cannot be the name of a block in the configuration; undefined if it can.
 * The grammar knows no escape inside `<User "...">`: a quote, a `>` or a `#` would end it, and `/*`
 * opens a comment even in quotes.
 */
export function userNameProblem(part: string): string | undefined {
  const name = userName(part)
  if (name === undefined) return 'expected ^XX with two hexadecimal digits that make UTF-8'
  if (name.trim() === '') return 'expected the name of a user'
  if (LINE_BREAKER.test(name)) return 'expected a user name without control characters'
  if (/[<>"#\\]|\/\*|\*\//.test(name) || name !== name.trim()) {
    return 'expected a user name without < > " # \\ /* */ and without blanks around it'
  }
  return undefined
}

/** What speaks against a key that one of our user patterns matches; undefined for all others. */
export function userPartProblem(key: string): string | undefined {
  for (const { name: pattern } of USER_PATTERNS) {
    const part = patternPart(pattern, key)
    if (part !== undefined) return userNameProblem(part)
  }
  return undefined
}
