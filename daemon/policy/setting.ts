/**
 * Settings of a block, declared once: the loader, the manual and the checks are derived from here.
 *
 * The value types are those of mtpolicyd 2.05 with its exact borders (what it refuses at start we
 * refuse, e.g. `5.` is not a number), plus ours. A boolean also accepts on/off/yes/no/true/false.
 * How the settings of a block are read is in read-settings.ts.
 */

import { LookupError } from '../system/errors.ts'
import { excerpt } from '../text/excerpt.ts'
import { compilePattern, type Pattern } from '../text/pattern.ts'
import { countryCodes } from './country-codes.ts'
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
  /** The words it accepts, if it accepts only words of a list: for "did you mean". */
  readonly words?: readonly string[]
  /** What its text names elsewhere in the file or in a request: checked once all is read. */
  readonly names?: Names
  /** The value, or undefined if the text is not one. A key without value arrives as undefined. */
  parse(text: string | undefined): Reading<T> | undefined
}

export interface Reading<T> {
  readonly value: T
  /** The value stands, but what was written is not quite one. */
  readonly remark?: Remark
}

export type Remark = Pick<Problem, 'severity' | 'message'>

/** Which names a text of the configuration is one of. */
export type Names =
  /** A <Plugin> block of that module, which has to run before. */
  | { readonly kind: 'block'; readonly module: string }
  /** NAME, r:NAME or s:NAME; see fields.ts. */
  | { readonly kind: 'value' }
  | { readonly kind: 'attribute' }
  /** A key of the session that this plugin sets, or several with commas. */
  | { readonly kind: 'key'; readonly isScore?: boolean }
  /** The plugin may set any key. */
  | { readonly kind: 'any-key' }

/** The same setting, with what its text names. */
export function naming<T>(names: Names, inner: Setting<T>): Setting<T> {
  return { ...inner, names }
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
  return remarking(declaration, expected, text => {
    const value = parse(text)
    return value === undefined ? undefined : { value }
  })
}

/** A setting whose values may come with a remark. */
function remarking<T>(
  declaration: Declaration<T>,
  expected: string,
  parse: (text: string) => Reading<T> | undefined,
): Setting<T> {
  return {
    doc: declaration.doc,
    expected,
    required: !('fallback' in declaration),
    // A required setting is never read through its fallback: readSettings reports it first.
    fallback: declaration.fallback as T,
    twin: false,
    repeatable: false,
    parse: text => (text === undefined ? undefined : parse(text)),
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

/** The longest a timer of Node's can wait: 2^31 - 1 ms, or 24 days. */
export const LONGEST_TIMER_SECONDS = 2_147_483
/** Anything longer is not a time but a slip of the keyboard: ten years. */
export const LONGEST_SECONDS = 315_360_000

/**
 * Every duration of the grammar: seconds, whole ones unless `fraction`. It has an upper end, by
 * default the longest time a timer can wait.
 */
export function seconds(
  declaration: Declaration<number>,
  {
    min = 0,
    max = LONGEST_TIMER_SECONDS,
    fraction = false,
  }: { min?: number; max?: number; fraction?: boolean } = {},
): Setting<number> {
  const form = fraction ? /^\d*\.?\d+$/ : /^\d+$/
  const expected = `${fraction ? '' : 'whole '}seconds from ${min} to ${inThousands(max)}`
  return setting(declaration, expected, text => {
    const value = Number(text)
    return form.test(text) && value >= min && value <= max ? value : undefined
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
 * say `no` mean off, so those words switch off here; any other text is on, with a warning.
 */
export function toggle(declaration: Declaration<boolean>): Setting<boolean> {
  return remarking(declaration, 'on or off', text => {
    const word = text.toLowerCase()
    if (word !== '' && FALSE.has(word)) return { value: false }
    if (word === '' || TRUE.has(word)) return { value: true }
    return { value: true, remark: otherWord(text, ['on', 'off'], 'on', 'warning') }
  })
}

/** The setting most plugins have. */
export const enabled = perMail(toggle({ doc: 'off disables the plugin.', fallback: true }))

interface ChoiceDeclaration<T> extends Declaration<T> {
  /**
   * What any other word counts as, where the original starts with it. It is still reported, as a
   * warning or as an error. Without `otherwise` the daemon does not start with another word.
   */
  readonly otherwise?: T
  readonly severity?: 'error' | 'warning'
}

/** One word of a list. */
export function choice<const T extends string>(
  words: readonly T[],
  declaration: ChoiceDeclaration<T>,
): Setting<T> {
  const { otherwise, severity = 'warning' } = declaration
  const read = (text: string): Reading<T> | undefined => {
    const value = words.find(word => word === text)
    if (value !== undefined) return { value }
    if (otherwise === undefined) return undefined
    return { value: otherwise, remark: otherWord(text, words, otherwise, severity) }
  }
  return { ...remarking(declaration, `one of: ${words.join(', ')}`, read), words }
}

function otherWord(
  found: string,
  words: readonly string[],
  otherwise: string,
  severity: Problem['severity'],
): Remark {
  const message = `expected one of: ${words.join(', ')}, found "${excerpt(found)}"${didYouMean(found, words)}; it counts as "${otherwise}"`
  return { severity, message }
}

/** `; did you mean "reject"?`, or nothing. */
export function didYouMean(found: string, words: readonly string[] | undefined): string {
  const near = words && nearestName(found, words)
  return near === undefined ? '' : `; did you mean "${near}"?`
}

/** A regular expression of the operator's, compiled at load. */
export interface PatternDeclaration extends Declaration<Pattern> {
  /**
   * What one that cannot be read means: `fail`, an error, and the plugin has failed whenever the
   * expression is needed; or `skip`, a warning, and it matches nothing.
   */
  readonly unreadable?: 'fail' | 'skip'
}

export function pattern(declaration: PatternDeclaration): Setting<Pattern> {
  return remarking(declaration, 'a regular expression', source =>
    readPattern(source, declaration.unreadable ?? 'fail'),
  )
}

/** Several in one text, split at commas. */
export function patterns(
  declaration: Omit<PatternDeclaration, 'fallback'>,
): Setting<readonly Pattern[]> {
  const { doc, unreadable = 'fail' } = declaration
  const sources = list({ doc, fallback: [] })
  return remarking<readonly Pattern[]>({ doc, fallback: [] }, 'regular expressions', text => {
    const read = (sources.parse(text)?.value ?? []).map(source => readPattern(source, unreadable))
    const remark = read.find(one => one.remark)?.remark
    return { value: read.map(one => one.value), ...(remark && { remark }) }
  })
}

/** Also for expressions that are not a setting, such as the lines of a file. */
export function readPattern(source: string, unreadable: 'fail' | 'skip'): Reading<Pattern> {
  try {
    return { value: compilePattern(source) }
  } catch (error) {
    // Only what is wrong with the expression; anything else is a bug.
    if (!(error instanceof SyntaxError)) throw error
    const reason = error.message
    if (unreadable === 'skip') {
      const message = `"${excerpt(source)}" is skipped: ${reason}`
      return { value: { source, test: () => false }, remark: { severity: 'warning', message } }
    }
    const message = `this regular expression cannot be used: ${reason}`
    const test = (): never => {
      throw new LookupError(message)
    }
    return { value: { source, test }, remark: { severity: 'error', message } }
  }
}

/** One text, split at commas; spaces around the commas are not part of the elements, empty elements are dropped. */
export function list(declaration: Declaration<readonly string[]>): Setting<readonly string[]> {
  return setting(declaration, 'a comma-separated list', value =>
    value.split(/\s*,\s*/).filter(element => element !== ''),
  )
}

/**
 * Country codes as databases have them: two characters, upper case. Others match nothing, which is
 * a warning, because the original starts with them.
 */
export function countryCodeList(declaration: { readonly doc: string }): Setting<readonly string[]> {
  const codes = list(declaration)
  return remarking<readonly string[]>(
    declaration as Declaration<readonly string[]>,
    codes.expected,
    text => {
      const value = (codes.parse(text)?.value ?? []).map(code => code.trim())
      const wrong = value.find(code => !countryCodes.has(code) && !NO_COUNTRIES.has(code))
      if (wrong === undefined) return { value }
      const upper = wrong.toUpperCase()
      const hint = countryCodes.has(upper) ? `; did you mean "${upper}"?` : ''
      const message = `"${excerpt(wrong)}" matches no country: expected two-letter ISO 3166 codes such as DE${hint}`
      return { value, remark: { severity: 'warning', message } }
    },
  )
}

/** Codes of databases that are not countries. */
const NO_COUNTRIES = new Set(['EU', 'AP', 'A1', 'A2', 'O1', 'AN', 'CS', 'FX'])

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
      return one && { ...one, value: [one.value] }
    },
  }
}

/** A value that can differ per mail (mtpolicyd's uc_ options). */
export type PerMail<T> = (session: Session) => T

/**
 * `uc_NAME = KEY` lets the session's KEY replace NAME for one mail. A value that does not fit the
 * type is ignored: the configured one stands.
 */
export function perMail<T>(inner: Setting<T>): Setting<PerMail<T>> {
  return {
    ...inner,
    fallback: () => inner.fallback,
    twin: true,
    parse(value) {
      const parsed = inner.parse(value)
      return parsed && { ...parsed, value: () => parsed.value }
    },
  }
}

/** A number from the session or from a user's configuration, by its leading digits as the original takes it. */
export function writtenNumber(text: string): WrittenNumber {
  return { text, value: leadingNumber(text) }
}
