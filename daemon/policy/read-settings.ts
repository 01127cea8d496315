/**
 * The settings of a block: every mistake at its place, with what was expected.
 *
 * Never throws. An unknown option is a warning, because the original starts with it.
 */

import { excerpt } from '../text/excerpt.ts'
import { fatal, nearestName, type Problem, warning } from './problem.ts'
import {
  choice,
  didYouMean,
  integer,
  optional,
  type PerMail,
  type Reading,
  type Section,
  type SectionOption,
  type Setting,
  type Settings,
  type SettingValues,
  text,
} from './setting.ts'

/** Options of every <Plugin>. They are the chain's, not the plugin's. */
export const commonSettings = {
  module: text({ doc: 'The plugin.' }),
  name: optional(text({ doc: 'Its name, instead of the one in the tag.' })),
  vhost_name: optional(text({ doc: 'Accepted for compatibility; has no effect.' })),
  log_level: integer({ doc: 'Level at which its messages are logged.', fallback: 4 }),
  on_error: choice(['fail', 'continue'], {
    doc: 'What a failure of the plugin means: continue with the next one, or what on_failure says.',
    fallback: 'fail',
    // The original starts with any word and takes it for fail.
    otherwise: 'fail',
    severity: 'error',
  }),
}

export type CommonValues = SettingValues<typeof commonSettings>

/** What any other block may have besides its settings: it says which block it is. */
const IDENTITY = new Set(['module', 'name'])

/** A plugin's own values and those that every plugin has; undefined if one is unusable. */
export function readPluginSettings<S extends Settings>(
  declared: S,
  section: Section,
  problems: Problem[],
): { readonly own: SettingValues<S>; readonly common: CommonValues } | undefined {
  const isCommon = ({ name }: SectionOption): boolean => Object.hasOwn(commonSettings, name)
  const commonOptions = section.options.filter(isCommon)
  const ownOptions = section.options.filter(option => !isCommon(option))
  const common = readValues(commonSettings, { ...section, options: commonOptions }, problems)
  const own = readValues(declared, { ...section, options: ownOptions }, problems)
  return common && own && { common, own }
}

/** The values of a block that is not a plugin, or undefined if one of them is unusable. */
export function readSettings<S extends Settings>(
  declared: S,
  section: Section,
  problems: Problem[],
): SettingValues<S> | undefined {
  const options = section.options.filter(
    ({ name }) => Object.hasOwn(declared, name) || !IDENTITY.has(name),
  )
  return readValues(declared, { ...section, options }, problems)
}

function readValues<S extends Settings>(
  declared: S,
  section: Section,
  problems: Problem[],
): SettingValues<S> | undefined {
  const heading = `<${section.type}${section.name === undefined ? '' : ` ${section.name}`}>`
  const values: Record<string, unknown> = {}
  const twins = new Map<string, SectionOption>()
  const refused = new Set<string>()

  for (const option of section.options) {
    const owner = option.name.startsWith('uc_') ? declared[option.name.slice(3)] : undefined
    if (owner?.twin) {
      twins.set(option.name.slice(3), option)
      continue
    }
    const declaration = Object.hasOwn(declared, option.name) ? declared[option.name] : undefined
    if (!declaration) {
      problems.push(unknownOption(option, Object.keys(declared), heading, section))
      continue
    }
    const parsed = readOption(option, declaration, ` in ${heading}`, problems)
    if (!parsed) {
      refused.add(option.name)
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
      // What was written and refused has been reported.
      if (refused.has(name)) continue
      if (declaration.required) {
        refused.add(name)
        const what = `${declaration.doc} (${declaration.expected})`
        problems.push(fatal(section.place, `${heading} needs "${name}": ${what}`))
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
 * The value of one option. What is wrong with it is added to `problems`; where it is unusable, by
 * `severity`, and nothing is returned.
 */
export function readOption<T>(
  option: SectionOption,
  declaration: Setting<T>,
  where: string,
  problems: Problem[],
  severity: 'fatal' | 'error' = 'fatal',
): Reading<T> | undefined {
  const { name, value, place, valuePlace } = option
  const reading = declaration.parse(value)
  if (reading?.remark) {
    const { severity, message } = reading.remark
    problems.push({ severity, place: valuePlace, message: `"${name}"${where}: ${message}` })
  }
  if (reading) return reading
  const found = value === undefined ? 'no value' : `"${excerpt(value)}"`
  const hint = value === undefined ? '' : didYouMean(value, declaration.words)
  const message = `"${name}"${where}: expected ${declaration.expected}, found ${found}${hint}`
  problems.push({ severity, place: value === undefined ? place : valuePlace, message })
  return undefined
}

function unknownOption(
  { name, place }: SectionOption,
  known: readonly string[],
  heading: string,
  section: Section,
): Problem {
  const near = nearestName(name, known)
  const shown = shownName(name, near, section)
  return warning(place, `unknown option${shown} in ${heading}${didYouMean(name, known)}`)
}

/**
 * Between the lines of a <Connection>, a line that is not an option may be the rest of a password: it is
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
