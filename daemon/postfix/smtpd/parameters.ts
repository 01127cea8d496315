/**
 * The value of a parameter for one smtpd service, and where it is set.
 *
 * master.cf's `-o` overrides main.cf, which overrides the defaults of the installed version;
 * `$name` is looked up in the same order. Values from main.cf and `-o` are known with file and
 * line, so that messages can point to them.
 */

import { expand, expansionMistake, type Lookup, namesIn } from './expand.ts'
import { lineAt } from './logical-lines.ts'
import { readDefinitions } from './main-cf.ts'
import type { MasterService } from './master-cf.ts'

export interface Setting {
  /** As written, `$name` not expanded. */
  readonly value: string
  /** Absent: not set, so Postfix's default applies. */
  readonly place?: { readonly file: string; readonly line: number }
  readonly origin: 'master.cf' | 'main.cf' | 'default'
}

export interface Parameters {
  setting(name: string): Setting
  /** Expanded and trimmed. */
  value(name: string): string
  isYes(name: string): boolean
  /** Those that main.cf or the service sets. */
  readonly set: readonly string[]
  /** Postfix's own value, expanded; undefined: this version has no such parameter. */
  default(name: string): string | undefined
  /** Why a program that reads the value gives up: a malformed `$name`. */
  mistake(name: string): string | undefined
  /** Whether the value depends, directly or indirectly, on another parameter. */
  dependsOn(name: string, other: string): boolean
  /** The same, but with some values replaced. */
  with(changed: Readonly<Record<string, string>>): Parameters
}

export type Settings = ReadonlyMap<string, Setting>

/** The settings of main.cf. */
export function readSettings(text: string, file: string): Settings {
  return new Map(
    readDefinitions(text).map(({ name, value, start }) => {
      const place = { file, line: lineAt(text, start) }
      return [name, { value: value.replaceAll(/[\r\n]+/g, ' '), place, origin: 'main.cf' }] as const
    }),
  )
}

/** `name = value` lines, as postconf prints them: the defaults of this version. */
export function readDefaults(text: string): ReadonlyMap<string, string> {
  const found = text.split('\n').flatMap(line => {
    const match = /^(\S+) =\s?(.*)$/.exec(line)
    return match ? [[match[1] ?? '', match[2] ?? ''] as const] : []
  })
  return new Map(found)
}

/** The parameters of main.cf alone, or with those that a service overrides. */
export function parametersOf(
  mainCf: Settings,
  defaults: ReadonlyMap<string, string>,
  service?: { readonly service: MasterService; readonly file: string },
): Parameters {
  const own: Settings = new Map(
    service?.service.options.map(({ name, value, line }) => [
      name,
      { value, place: { file: service.file, line }, origin: 'master.cf' },
    ]),
  )
  // smtpd defines these itself, before it reads anything.
  const itself: Settings = new Map(
    service && [
      ['service_name', { value: service.service.address, origin: 'default' }],
      ['process_name', { value: 'smtpd', origin: 'default' }],
    ],
  )
  return parametersBy({
    set: [...new Set([...mainCf.keys(), ...own.keys()])],
    defaults,
    find: name =>
      itself.get(name) ??
      own.get(name) ??
      mainCf.get(name) ?? { value: defaults.get(name) ?? '', origin: 'default' as const },
    isKnown: name => own.has(name) || mainCf.has(name) || defaults.has(name),
  })
}

interface Source {
  readonly set: readonly string[]
  readonly defaults: ReadonlyMap<string, string>
  find(name: string): Setting
  isKnown(name: string): boolean
}

function parametersBy(source: Source): Parameters {
  const { find, isKnown, defaults } = source
  const lookup: Lookup = name => (isKnown(name) ? find(name).value : undefined)
  const parameters: Parameters = {
    set: source.set,
    setting: find,
    value: name => expand(find(name).value, lookup).trim(),
    isYes: name => parameters.value(name).toLowerCase() === 'yes',
    default(name) {
      const value = defaults.get(name)
      return value === undefined ? undefined : expand(value, lookup).trim()
    },
    mistake: name => expansionMistake(find(name).value, lookup),
    dependsOn: (name, other) => namesIn(find(name).value, lookup).has(other),
    with: changed =>
      parametersBy({
        ...source,
        find(name) {
          const value = changed[name]
          return value === undefined ? find(name) : { value, origin: find(name).origin }
        },
        isKnown: name => changed[name] !== undefined || isKnown(name),
      }),
  }
  return parameters
}
