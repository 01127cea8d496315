/**
 * Options and operands.
 *
 * A command of our own takes options before and after its operands. A command of UCR's takes
 * filters before its name, options right after it, and all that follows for operands; that is how
 * `ucr set` works, and scripts rely on it.
 */

import { nearestName } from '../policy/problem.ts'
import type { OptionDeclaration, Options, ParsedValues } from './command.ts'

export type Mistake =
  | { readonly kind: 'no-command' }
  | { readonly kind: 'unknown-command'; readonly word: string; readonly near?: string }
  | { readonly kind: 'half-a-command'; readonly word: string; readonly verbs: readonly string[] }
  | {
      readonly kind: 'unknown-option'
      /** As it was typed. */
      readonly option: string
      readonly near?: string
      /** No command has such a filter. */
      readonly isStray: boolean
    }
  | { readonly kind: 'no-argument'; readonly option: string; readonly argument: string }
  | { readonly kind: 'bad-argument'; readonly option: string; readonly value: string }
  | { readonly kind: 'too-few' }
  | { readonly kind: 'too-many'; readonly word: string }

/** What was found among the words. */
export class Words {
  readonly given = new Map<string, string[]>()
  readonly operands: string[] = []
  readonly #options: Options
  #mistake: Mistake | undefined

  constructor(options: Options) {
    this.#options = options
  }

  /** The first one. What follows it is read all the same: `--help` may be among it. */
  get mistake(): Mistake | undefined {
    return this.#mistake
  }

  refuse(option: string, isStray = false): void {
    this.#mistake ??= unknownOption(option, this.#options, isStray)
  }

  named(word: string): readonly [string, OptionDeclaration] | undefined {
    const written = word.split('=', 1)[0]
    return Object.entries(this.#options).find(
      ([name, { short }]) =>
        written === `--${name}` || (short !== undefined && written === `-${short}`),
    )
  }

  /** Takes an option, with the next word if that is its argument. How many words that were. */
  take(word: string, next: string | undefined): number {
    const [name, option] = this.named(word) ?? []
    const equals = word.indexOf('=')
    if (name === undefined || option === undefined || (option.type === 'boolean' && equals >= 0)) {
      this.refuse(word)
      return 1
    }
    if (option.type === 'boolean') {
      this.given.set(name, [])
      return 1
    }
    const value = equals >= 0 ? word.slice(equals + 1) : next
    if (value === undefined) {
      const argument = option.argument ?? 'VALUE'
      this.#mistake ??= { kind: 'no-argument', option: `--${name}`, argument }
      return 1
    }
    if (option.type === 'number' && !/^\d{1,4}$/.test(value)) {
      this.#mistake ??= { kind: 'bad-argument', option: `--${name}`, value }
    }
    const before = option.multiple ? (this.given.get(name) ?? []) : []
    this.given.set(name, [...before, value])
    return equals >= 0 ? 1 : 2
  }

  values(): ParsedValues {
    const entries = Object.entries(this.#options).map(([name, option]) => {
      const [value = option.default, ...more] = this.given.get(name) ?? []
      if (option.type === 'boolean') return [name, this.given.has(name)]
      if (option.multiple) return [name, value === undefined ? [] : [value, ...more]]
      return [name, value === undefined || option.type === 'string' ? value : Number(value)]
    })
    return { ...Object.fromEntries(entries), operands: this.operands }
  }
}

/** Options anywhere, up to a `--`. */
export function readOwnWords(options: Options, words: readonly string[]): Words {
  const found = new Words(options)
  for (let at = 0; at < words.length; ) {
    const word = words[at] ?? ''
    const next = words[at + 1]
    if (word === '--') {
      found.operands.push(...words.slice(at + 1))
      break
    }
    if (/^-./.test(word)) at += found.take(word, next?.startsWith('-') ? undefined : next)
    else {
      found.operands.push(word)
      at++
    }
  }
  return found
}

/** `filters`: those of all commands, each with its dashes. */
export function readUcrWords(
  options: Options,
  filters: ReadonlySet<string>,
  before: readonly string[],
  rest: readonly string[],
): Words {
  const found = new Words(options)
  const stray = before.find(word => !filters.has(word))
  if (stray !== undefined) found.refuse(stray, true)
  for (const word of before) {
    const option = found.named(word)?.[1]
    if (option?.isFilter || option?.mayFollow) found.take(word, undefined)
    else found.refuse(word)
  }
  let at = 0
  while (rest[at]?.startsWith('--') || (at === 0 && rest[at] === '-h')) {
    const word = rest[at] ?? ''
    const option = found.named(word)?.[1]
    if (option?.isFilter && !option.mayFollow) {
      found.refuse(word)
      at++
    } else at += found.take(word, rest[at + 1])
  }
  for (const word of rest.slice(at)) {
    const mayFollow = word.startsWith('--') && found.named(word)?.[1].mayFollow
    if (mayFollow) found.take(word, undefined)
    else found.operands.push(word)
  }
  return found
}

export function unknownOption(option: string, options: Options, isStray: boolean): Mistake {
  const name = option.replace(/^--?/, '').split('=', 1)[0] ?? ''
  const visible = Object.keys(options).filter(one => !options[one]?.isHidden && one !== name)
  const near = nearestName(name, visible)
  return {
    kind: 'unknown-option',
    option,
    isStray,
    ...(near === undefined ? {} : { near: `--${near}` }),
  }
}
