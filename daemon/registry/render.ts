/**
 * Templates: host variables in, a configuration file out.
 *
 * templates/etc/x/y.conf.hbs renders to /etc/x/y.conf. Which variables a template needs is read
 * from the parsed template, so nobody has to declare it; a name that is not a variable is reported
 * with its place before anything is rendered. One value is one line: control characters are never
 * written. Helpers:
 *
 * - `var` inserts a value, `quote` the same as quoted text in the configuration's grammar
 * - `names FIELD="pattern" ...`: for each user or domain that has one of these values, its `name` and
 *   the values, empty where it has none. With `lifted="pattern"`, a user whose value there is
 *   `unlimited` is among them, and its other values are `unlimited` unless they are set. With
 *   `FIELD_of_domain="pattern"`, a user who has only other values has the domain's value in that field
 * - `limit` inserts a limit, `unlimited` for one that is not set
 * - `limited`: is one of these names and patterns set, and to a number?
 * - `block`: a name for `<User ...>`
 * - `listeners`: host and port as the daemon's list; `streams`: the same for systemd
 *
 * Logic is limited to `if` and `each`; an inline partial (`>`) is text that occurs several times.
 */

import { isIP } from 'node:net'
import Handlebars from 'handlebars'
import { formatEndpoint } from '../net/endpoint.ts'
import { isLocalhost, listenAddresses } from '../net/loopback.ts'
import { nearestName, type Place, type Problem } from '../policy/problem.ts'
import type { Descriptions } from './descriptions.ts'
import type { Values } from './layers.ts'
import { nameKey, userNameProblem } from './name-key.ts'
import { isLimited, UNLIMITED, valuesByName } from './named-values.ts'
import { findTemplates, isNamed, type TemplateFile, withHeader } from './template-files.ts'
import { LINE_BREAKER, printable } from './value-types.ts'

export interface Template extends TemplateFile {
  /** Names and patterns of the variables in it, each with the place of its first use. */
  readonly needs: ReadonlyMap<string, Place>
}

export interface Templates {
  readonly templates: readonly Template[]
  readonly problems: readonly Problem[]
}

/** All templates for this root below a directory, checked against the descriptions. */
export function readTemplates(
  directory: string,
  root: string,
  descriptions: Descriptions,
): Templates {
  const problems: Problem[] = []
  const templates = findTemplates(directory, root).map(template => {
    const { needs, problems: found } = templateNeeds(template.source, template.file, descriptions)
    problems.push(...found)
    return { ...template, needs }
  })
  return { templates, problems }
}

/** Does a change of this key affect the template? */
export function needsKey(template: Template, key: string): boolean {
  return isNamed(template.needs.keys(), key)
}

const HELPERS = ['var', 'quote', 'names', 'limit', 'limited', 'block', 'listeners', 'streams']
/** Their parameters are names of variables. */
const READERS = ['var', 'names', 'limit', 'limited']
const BUILT_IN = ['if', 'unless', 'each', 'with', 'lookup']

/** The names in a template, read from its syntax tree. */
export function templateNeeds(
  source: string,
  file: string,
  descriptions: Descriptions,
): { needs: ReadonlyMap<string, Place>; problems: readonly Problem[] } {
  const needs = new Map<string, Place>()
  const problems: Problem[] = []
  const report = (place: Place, message: string) => {
    problems.push({ severity: 'error', place, message })
  }

  const visitCall = (
    call: hbs.AST.SubExpression | hbs.AST.MustacheStatement | hbs.AST.BlockStatement,
  ) => {
    const helper = 'original' in call.path ? String(call.path.original) : ''
    const place = placeOf(file, call.loc)
    if (hasParameters(call) && ![...HELPERS, ...BUILT_IN].includes(helper)) {
      const near = nearestName(helper, [...HELPERS, ...BUILT_IN])
      report(place, `there is no helper "${helper}"${near ? `; did you mean "${near}"?` : ''}`)
    }
    if (!READERS.includes(helper)) return
    const names = [...call.params, ...(call.hash?.pairs ?? []).map(pair => pair.value)]
    if (names.length === 0) report(place, `"${helper}" needs the full name of a variable in quotes`)
    for (const name of names) visitName(helper, place, name)
  }

  const visitName = (helper: string, place: Place, name: hbs.AST.Expression) => {
    if (!isText(name)) {
      report(place, `"${helper}" needs the full name of a variable in quotes`)
    } else if (
      descriptions.exact(name.value) === undefined &&
      descriptions.find(name.value) === undefined
    ) {
      const near = nearestName(
        name.value,
        descriptions.all.map(variable => variable.name),
      )
      const hint = near === undefined ? '' : `; did you mean "${near}"?`
      report(placeOf(file, name.loc), `"${name.value}" is not a host variable${hint}`)
    } else if (!needs.has(name.value)) {
      needs.set(name.value, placeOf(file, name.loc))
    }
  }

  class Calls extends Handlebars.Visitor {
    override SubExpression(call: hbs.AST.SubExpression): void {
      visitCall(call)
      super.SubExpression(call)
    }
    override MustacheStatement(call: hbs.AST.MustacheStatement): void {
      visitCall(call)
      super.MustacheStatement(call)
    }
    override BlockStatement(call: hbs.AST.BlockStatement): void {
      visitCall(call)
      super.BlockStatement(call)
    }
  }

  try {
    new Calls().accept(Handlebars.parse(source))
  } catch (error) {
    const [first = '', ...rest] = (error instanceof Error ? error.message : String(error)).split(
      '\n',
    )
    const line = Number(/on line (\d+)/.exec(first)?.[1] ?? 1)
    // After its first line Handlebars marks the place with an arrow; the last line says what is
    // wrong.
    report({ file, line, column: 1 }, `cannot be parsed: ${rest.at(-1) ?? first}`)
  }
  return { needs, problems }
}

function hasParameters({ params, hash }: Pick<hbs.AST.SubExpression, 'params' | 'hash'>): boolean {
  return params.length > 0 || (hash?.pairs ?? []).length > 0
}

function isText(node: hbs.AST.Expression): node is hbs.AST.StringLiteral {
  return node.type === 'StringLiteral'
}

function placeOf(file: string, loc: hbs.AST.SourceLocation): Place {
  return { file, line: loc.start.line, column: loc.start.column + 1 }
}

/** A value that must not be written, thrown inside a helper. */
class Unwritable extends Error {}

/** The whole file, header included, or what is wrong with a value. */
export function renderTemplate(
  template: Template,
  values: Values,
  host: { readonly hasIPv6: boolean } = { hasIPv6: true },
): { readonly text: string } | { readonly problem: Problem } {
  const engine = Handlebars.create()
  let lastName = ''
  const value = (name: string): string => {
    lastName = name
    const text = values.get(name)
    if (text === undefined) throw new Unwritable(`${name} is not a host variable`)
    return oneLine(name, text)
  }
  engine.registerHelper({
    var: value,
    quote: (text: unknown) => quoteValue(String(text)),
    limit: (name: string) => value(name) || UNLIMITED,
    limited: (...given: unknown[]) => isLimited(given.filter(isName), values),
    names: ({ hash }: Handlebars.HelperOptions) => {
      const { lifted, ...named }: Readonly<Record<string, string>> = hash
      const { fields, inherited } = ofUserAndDomain(named)
      lastName = Object.values(fields)[0] ?? ''
      const rows = valuesByName({ fields, lifted, inherited }, values)
      for (const text of rows.flatMap(row => Object.values(row))) oneLine(lastName, text)
      return rows
    },
    block: (name: unknown) => blockName(String(name)),
    listeners: (host: unknown, port: unknown) => listeners(String(host), String(port)),
    streams: (name: unknown, port: unknown) => streams(String(name), String(port), host.hasIPv6),
  })
  const render = engine.compile(template.source, {
    strict: true,
    noEscape: true,
    knownHelpersOnly: true,
    knownHelpers: Object.fromEntries(HELPERS.map(helper => [helper, true])),
  })
  try {
    return { text: withHeader(template, values, render({})) }
  } catch (error) {
    const place = template.needs.get(lastName) ?? { file: template.file, line: 1, column: 1 }
    const message = error instanceof Error ? error.message : String(error)
    return { problem: { severity: 'error', place, message } }
  }
}

const OF_DOMAIN = '_of_domain'

function ofUserAndDomain(named: Readonly<Record<string, string>>): {
  readonly fields: Readonly<Record<string, string>>
  readonly inherited: Readonly<Record<string, string>>
} {
  const all = Object.entries(named)
  const ofDomain = all.filter(([field]) => field.endsWith(OF_DOMAIN))
  return {
    fields: Object.fromEntries(all.filter(([field]) => !field.endsWith(OF_DOMAIN))),
    inherited: Object.fromEntries(
      ofDomain.map(([field, pattern]) => [field.slice(0, -OF_DOMAIN.length), pattern]),
    ),
  }
}

function oneLine(name: string, text: string): string {
  if (LINE_BREAKER.test(text)) {
    throw new Unwritable(`${name} has a control character: ${printable(text)}`)
  }
  return text
}

/**
 * A quoted text: `\" \\ \# \$` are the grammar's own escapes; a C comment cannot be escaped in it.
 */
export function quoteValue(text: string): string {
  oneLine('a value', text)
  if (/\/\*|\*\//.test(text)) {
    throw new Unwritable(`"${text}" cannot be written: /* and */ are comments, even in quotes`)
  }
  return `"${text.replace(/["\\#$]/g, '\\$&')}"`
}

function blockName(name: string): string {
  const problem = userNameProblem(nameKey(name))
  if (problem !== undefined) throw new Unwritable(`${printable(name)}: ${problem}`)
  return `"${name}"`
}

/** The last parameter of a helper is not one of the template's. */
function isName(parameter: unknown): parameter is string {
  return typeof parameter === 'string'
}

/** `localhost` means both loopback addresses; an IPv6 address needs brackets before its port. */
function listeners(host: string, port: string): string {
  return listenAddresses(host)
    .map(one => formatEndpoint({ kind: 'tcp', host: one, port: Number(port) }))
    .join(',')
}

/**
 * systemd accepts addresses only. If the host is a name, the daemon resolves and binds it itself at
 * startup; the unit, which needs a socket, then gets one that nobody connects to. The unit would
 * fail if it named an address family that the host lacks.
 */
function streams(host: string, port: string, hasIPv6: boolean): string[] {
  if (!isLocalhost(host) && isIP(host) === 0) return ['@univention-mtpolicyd']
  if (isLocalhost(host) && !hasIPv6) return listeners('127.0.0.1', port).split(',')
  return listeners(host, port).split(',')
}
