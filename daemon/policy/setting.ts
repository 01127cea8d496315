/**
 * Settings of a plugin, declared once: the loader, the manual and the checks are drawn from here.
 *
 * The value types are those of mtpolicyd 2.05 with its exact borders (what it refuses at start we
 * refuse, e.g. `5.` is no number), plus ours. A boolean also takes on/off/yes/no/true/false.
 * `readSettings` never throws: it reports every mistake at its place and says what was expected.
 */

import { excerpt } from './excerpt.ts'
import { nearestName, type Place, type Problem } from './problem.ts'
import { leadingNumber, type Session } from './session.ts'

/** A block of a configuration file, as far as settings care. */
export interface Section {
  readonly type: string
  readonly name: string | undefined
  readonly place: Place
  readonly options: readonly SectionOption[]
  readonly blocks: readonly Section[]
}

export interface SectionOption {
  readonly name: string
  /** Undefined: the key stands alone, without a value. */
  readonly value: string | undefined
  readonly place: Place
  readonly valuePlace: Place
}

export interface Setting<T> {
  readonly doc: string
  /** What a value looks like, for messages and the manual: "a whole number". */
  readonly expected: string
  readonly required: boolean
  readonly fallback: T
  /** May a per-mail value, found in the session under the key that `uc_NAME` gives, replace it? */
  readonly twin: boolean
  /** May the option be written several times? `parse` then sees one text after the other. */
  readonly repeatable: boolean
  /** The value, or undefined if the text is not one. A key without value arrives as undefined. */
  parse(text: string | undefined): { readonly value: T } | undefined
}

export type Settings = Readonly<Record<string, Setting<unknown>>>
export type SettingValues<S extends Settings> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never
}

interface Declaration<T> {
  readonly doc: string
  readonly fallback?: T
}

function setting<T>(
  declaration: Declaration<T>,
  expected: string,
  parse: (text: string) => T | undefined,
): Setting<T> {
  return {
    doc: declaration.doc,
    expected,
    required: !('fallback' in declaration),
    // A required setting is never read through its fallback: readSettings reports it first.
    fallback: declaration.fallback as T,
    twin: false,
    repeatable: false,
    parse(text) {
      if (text === undefined) return undefined
      const value = parse(text)
      return value === undefined ? undefined : { value }
    },
  }
}

/** Any text, also an empty one. */
export function text(declaration: Declaration<string>): Setting<string> {
  return setting(declaration, 'a text', value => value)
}

/** 1,000,000: without Intl, whose first use takes 14 ms of the start. */
function inThousands(number: number): string {
  return String(number).replace(/\B(?=(?:\d{3})+$)/g, ',')
}

export function integer(
  declaration: Declaration<number>,
  range: { min?: number; max?: number } = {},
): Setting<number> {
  const { min = -Infinity, max = Infinity } = range
  const bounds = [
    min > -Infinity ? ` from ${min}` : '',
    max < Infinity ? ` up to ${inThousands(max)}` : '',
  ].join('')
  return setting(declaration, `a whole number${bounds}`, value => {
    if (!/^-?\d+$/.test(value)) return undefined
    const number = Number(value)
    return Number.isSafeInteger(number) && number >= min && number <= max ? number : undefined
  })
}

/** A number that remembers how it was written: scores are shown as the operator wrote them. */
export interface WrittenNumber {
  readonly text: string
  readonly value: number
}

export function number(declaration: Declaration<WrittenNumber>): Setting<WrittenNumber> {
  return setting(declaration, 'a number such as 5, -2.5 or 1e3', value =>
    /^[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?$/.test(value)
      ? { text: value, value: Number(value) }
      : undefined,
  )
}

const TRUE = new Set(['1', 'on', 'yes', 'true'])
const FALSE = new Set(['', '0', 'off', 'no', 'false'])

/** The original's boolean, 0 or 1, and the usual words. */
export function boolean(declaration: Declaration<boolean>): Setting<boolean> {
  return setting(declaration, '0 or 1 (or on, off, yes, no, true, false)', value => {
    const word = value.toLowerCase()
    return TRUE.has(word) ? true : FALSE.has(word) ? false : undefined
  })
}

/**
 * On, unless the text is `off`, as in the original, where `no` or `0` left a plugin on. Files that
 * say `no` mean off, so those words switch off here; any other text stays "on".
 */
export function toggle(declaration: Declaration<boolean>): Setting<boolean> {
  return setting(declaration, 'on or off', value => !isOff(value))
}

function isOff(value: string): boolean {
  return value !== '' && FALSE.has(value.toLowerCase())
}

export function choice<const T extends string>(
  words: readonly T[],
  declaration: Declaration<T>,
): Setting<T> {
  return setting(declaration, `one of: ${words.join(', ')}`, value =>
    words.find(word => word === value),
  )
}

/** One text, split at commas; blanks around the commas do not count, empty elements are dropped. */
export function list(declaration: Declaration<readonly string[]>): Setting<readonly string[]> {
  return setting(declaration, 'a comma-separated list', value =>
    value.split(/\s*,\s*/).filter(element => element !== ''),
  )
}

/** A setting of a form of its own. */
export function custom<T>(
  expected: string,
  parse: (text: string) => T | undefined,
  declaration: Declaration<T>,
): Setting<T> {
  return setting(declaration, expected, parse)
}

/** May be left out, or stand without a value: then it is undefined. */
export function optional<T>(inner: Setting<T>): Setting<T | undefined> {
  return {
    ...inner,
    required: false,
    fallback: undefined,
    parse: value => (value === undefined ? { value: undefined } : inner.parse(value)),
  }
}

/** May be written several times (each its own line): a list in file order. */
export function repeated<T>(inner: Setting<T>): Setting<readonly T[]> {
  return {
    ...inner,
    required: false,
    fallback: [],
    repeatable: true,
    parse(value) {
      const one = inner.parse(value)
      return one && { value: [one.value] }
    },
  }
}

/** A value that can differ per mail (mtpolicyd's uc_ options). */
export type PerMail<T> = (session: Session) => T

/**
 * `uc_NAME = KEY` lets the session's KEY replace NAME for one mail. A value that does not fit the
 * type is passed over: the configured one stands.
 */
export function perMail<T>(inner: Setting<T>): Setting<PerMail<T>> {
  return {
    ...inner,
    fallback: () => inner.fallback,
    twin: true,
    parse(value) {
      const parsed = inner.parse(value)
      return parsed && { value: () => parsed.value }
    },
  }
}

/** A number from the session or from a user's configuration, by its leading digits as the original takes it. */
export function writtenNumber(text: string): WrittenNumber {
  return { text, value: leadingNumber(text) }
}

/** Options every plugin has; they are the chain's, not the plugin's. */
const COMMON = new Set(['module', 'name', 'vhost_name', 'log_level', 'on_error'])

/**
 * The values of a block, or undefined if one of them is unusable. Every mistake is added to
 * `problems`; an unknown option is a warning, because the original starts with it.
 */
export function readSettings<S extends Settings>(
  declared: S,
  section: Section,
  problems: Problem[],
): SettingValues<S> | undefined {
  const heading = `<${section.type}${section.name === undefined ? '' : ` ${section.name}`}>`
  const values: Record<string, unknown> = {}
  const twins = new Map<string, SectionOption>()
  const refused = new Set<string>()

  for (const option of section.options) {
    if (COMMON.has(option.name)) continue
    const owner = option.name.startsWith('uc_') ? declared[option.name.slice(3)] : undefined
    if (owner?.twin) {
      twins.set(option.name.slice(3), option)
      continue
    }
    const declaration = Object.hasOwn(declared, option.name) ? declared[option.name] : undefined
    if (!declaration) {
      const near = nearestName(option.name, Object.keys(declared))
      problems.push({
        severity: 'warning',
        place: option.place,
        message: `unknown option${shownName(option.name, near, section)} in ${heading}${near ? `; did you mean "${near}"?` : ''}`,
      })
      continue
    }
    const parsed = declaration.parse(option.value)
    if (!parsed) {
      refused.add(option.name)
      const found = option.value === undefined ? 'no value' : `"${excerpt(option.value)}"`
      problems.push({
        severity: 'fatal',
        place: option.value === undefined ? option.place : option.valuePlace,
        message: `"${option.name}" in ${heading}: expected ${declaration.expected}, found ${found}`,
      })
      continue
    }
    const before = values[option.name]
    values[option.name] =
      declaration.repeatable && Array.isArray(before) && Array.isArray(parsed.value)
        ? [...before, ...parsed.value]
        : parsed.value
  }

  for (const [name, declaration] of Object.entries(declared)) {
    if (!(name in values)) {
      // What was written and refused has been said.
      if (refused.has(name)) continue
      if (declaration.required) {
        refused.add(name)
        problems.push({
          severity: 'fatal',
          place: section.place,
          message: `${heading} needs "${name}": ${declaration.doc} (${declaration.expected})`,
        })
        continue
      }
      values[name] = declaration.fallback
    }
    const twin = twins.get(name)?.value
    if (twin) values[name] = overridden(declaration, values[name], twin)
  }
  return refused.size === 0 ? (values as SettingValues<S>) : undefined
}

/**
 * Between the lines of a <Connection>, a line that is no option may be the rest of a password: it is
 * shown only where it looks like the name of an option.
 */
function shownName(name: string, near: string | undefined, { type }: Section): string {
  const isName = type !== 'Connection' || near !== undefined || /^[a-z_]+$/.test(name)
  return isName ? ` "${name}"` : ''
}

/** The per-mail form of a twin setting: what the session has, if it fits, else what the file says. */
function overridden(
  declaration: Setting<unknown>,
  configured: unknown,
  key: string,
): PerMail<unknown> {
  const fromFile = configured as PerMail<unknown>
  return session => {
    const text = session.text(key)
    if (text === undefined) return fromFile(session)
    const parsed = declaration.parse(text)
    return parsed ? (parsed.value as PerMail<unknown>)(session) : fromFile(session)
  }
}
