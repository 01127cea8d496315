/**
 * The name of a user or a domain inside the key of a variable, and back:
 * mtpolicyd/user/NAME/threshold, mtpolicyd/domain/DOMAIN/threshold.
 *
 * Login names are folded as the daemon folds sasl_username; characters that a key may not contain,
 * and `/` and `^`, are written ^XX, byte by byte of their UTF-8. A domain has one spelling, in ASCII. A
 * name that no block of the configuration can have is rejected here, when it is set, and not when
 * the daemon reads it.
 */

import { domainName } from './domain-name.ts'
import { LINE_BREAKER } from './value-types.ts'
import { declarations, patternPart } from './variables.ts'

/** Characters that UCR forbids in a key, and those that would split one of our keys. */
export const FORBIDDEN_IN_KEYS = /[\p{Cc}[\]!"#$%&'()+,;<=>?\\`{}\xa7]/u

/** A name as part of a key: lower case, everything a key may not contain written ^XX. */
export function nameKey(name: string): string {
  const encoder = new TextEncoder()
  return Array.from(name.toLowerCase(), character => {
    const stays = !FORBIDDEN_IN_KEYS.test(character) && !/[\s/*^:\u2028\u2029]/u.test(character)
    if (stays) return character
    return Array.from(encoder.encode(character), byte => {
      return `^${byte.toString(16).toUpperCase().padStart(2, '0')}`
    }).join('')
  }).join('')
}

/** The login name in a key's name part; undefined if its ^XX are not valid text. */
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

/** What `.*` stands for in a pattern. */
interface NameKind {
  /** The name in this part of a key, in its normal form; undefined if there is none. */
  readonly read: (part: string) => string | undefined
  /** Why there is none, or why it cannot be the name of a block; undefined if it can. */
  readonly problem: (part: string) => string | undefined
}

const USER: NameKind = { read: userName, problem: userNameProblem }
const DOMAIN: NameKind = {
  read: part => domainName(userName(part) ?? ''),
  problem: part =>
    DOMAIN.read(part) === undefined ? 'expected a domain such as example.org' : undefined,
}

// The longest first: domain/.*/threshold also fits the keys of domain/.*/user/threshold.
const PATTERNS = declarations
  .flatMap(({ name }) => {
    if (name.startsWith('mtpolicyd/user/.*/')) return { pattern: name, kind: USER }
    return name.startsWith('mtpolicyd/domain/.*/') ? { pattern: name, kind: DOMAIN } : []
  })
  .sort((a, b) => b.pattern.length - a.pattern.length)

interface Named {
  readonly pattern: string
  readonly kind: NameKind
  readonly part: string
}

/** The pattern that a key belongs to, and the name in it as it is written there. */
function namedBy(key: string): Named | undefined {
  for (const { pattern, kind } of PATTERNS) {
    const part = patternPart(pattern, key)
    if (part !== undefined) return { pattern, kind, part }
  }
  return undefined
}

/** The user or domain in a key of one of our patterns; undefined if the key is not one of them. */
export function nameInKey(pattern: string, key: string): string | undefined {
  const named = namedBy(key)
  if (named?.pattern !== pattern) return undefined
  const name = named.kind.read(named.part)
  return name === '' ? undefined : name
}

/**
 * The canonical spelling of a key: `mtpolicyd/user/Alice/threshold` is `.../alice/...`. Other keys
 * are unchanged.
 */
export function canonicalKey(key: string): string {
  const named = namedBy(key)
  if (named === undefined || named.part === '') return key
  const name = named.kind.read(named.part)
  return name === undefined ? key : named.pattern.replace('.*', () => nameKey(name))
}

/**
 * Why a user's name cannot be the name of a block in the configuration; undefined if it can. The
 * grammar has no escapes inside `<User "...">`: a quote, a `>` or a `#` would end it, and `/*`
 * opens a comment even in quotes.
 */
export function userNameProblem(part: string): string | undefined {
  const name = userName(part)
  if (name === undefined) return 'expected ^XX with two hexadecimal digits that form valid UTF-8'
  if (name.trim() === '') return 'expected the name of a user'
  if (LINE_BREAKER.test(name)) return 'expected a user name without control characters'
  if (/[<>"#\\]|\/\*|\*\//.test(name) || name !== name.trim()) {
    return 'expected a user name without < > " # \\ /* */ and without leading or trailing spaces'
  }
  return undefined
}

/** What is wrong with the name in a key that one of our patterns matches; undefined for all others. */
export function namePartProblem(key: string): string | undefined {
  const named = namedBy(key)
  return named?.kind.problem(named.part)
}
