/**
 * Templates: host variables in, a configuration file out.
 *
 * templates/etc/x/y.conf.hbs renders to /etc/x/y.conf. Which variables a template needs is read off
 * the parsed template, so nobody declares it by hand; a name that is no variable is refused with its
 * place before anything is rendered. One value is one line: control characters never get through.
 * Helpers: `var` a value, `quote` the same as a quoted text of the configuration's grammar, `users`
 * the user overrides of a pattern, `block` a name for `<User ...>`, `listeners` host and port as the
 * daemon's list, `streams` the same as systemd's. Logic stops at `if` and `each`.
 */

import { isIP } from 'node:net'
import Handlebars from 'handlebars'
import { nearestName, type Place, type Problem } from '../policy/problem.ts'
import type { Descriptions } from './descriptions.ts'
import type { Values } from './layers.ts'
import { findTemplates, isNamed, type TemplateFile, withHeader } from './template-files.ts'
import { canonicalKey, userKey, userName, userNameProblem } from './user-key.ts'
import { LINE_BREAKER, printable } from './value-types.ts'
import { patternPart } from './variables.ts'

export interface Template extends TemplateFile {
  /** Names and patterns of the variables in it, each with the place of its first use. */
  readonly needs: ReadonlyMap<string, Place>
}

export interface Templates {
  readonly templates: readonly Template[]
  readonly problems: readonly Problem[]
}

/** All templates for this root below a directory, checked against what is described. */
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

/** Does a change of this key concern the template? */
export function needsKey(template: Template, key: string): boolean {
  return isNamed(template.needs.keys(), key)
}

const HELPERS = ['var', 'quote', 'users', 'block', 'listeners', 'streams']
const BUILT_IN = ['if', 'unless', 'each', 'with', 'lookup']

/** What a template names, read off its syntax tree. */
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
    if (call.params.length > 0 && ![...HELPERS, ...BUILT_IN].includes(helper)) {
      const near = nearestName(helper, [...HELPERS, ...BUILT_IN])
      report(place, `there is no helper "${helper}"${near ? `; did you mean "${near}"?` : ''}`)
    }
    if (helper !== 'var' && helper !== 'users') return
    const name = call.params[0]
    if (name === undefined || !isText(name)) {
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
    // Below its first line Handlebars draws the place with an arrow; the last line says what is wrong.
    report({ file, line, column: 1 }, `cannot be parsed: ${rest.at(-1) ?? first}`)
  }
  return { needs, problems }
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
    users: (pattern: string) => {
      lastName = pattern
      return userValues(pattern, values)
    },
    block: (name: unknown) => blockName(String(name)),
    listeners: (host: unknown, port: unknown) => listeners(String(host), String(port)),
    streams: (host: unknown, port: unknown) => streams(String(host), String(port)),
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

function oneLine(name: string, text: string): string {
  if (LINE_BREAKER.test(text)) {
    throw new Unwritable(`${name} has a control character: ${printable(text)}`)
  }
  return text
}

/** A quoted text: `\" \\ \# \$` are the grammar's own escapes; a C comment cannot be escaped in it. */
export function quoteValue(text: string): string {
  oneLine('a value', text)
  if (/\/\*|\*\//.test(text)) {
    throw new Unwritable(`"${text}" cannot be written: /* and */ are comments, even in quotes`)
  }
  return `"${text.replace(/["\\#$]/g, '\\$&')}"`
}

function blockName(name: string): string {
  const problem = userNameProblem(userKey(name))
  if (problem !== undefined) throw new Unwritable(`${printable(name)}: ${problem}`)
  return `"${name}"`
}

/** The overrides of one pattern, one per user; of several spellings of a name the canonical one counts. */
function userValues(pattern: string, values: Values): Array<{ user: string; value: string }> {
  const users = new Map<string, string>()
  for (const [key, value] of values) {
    const user = userName(patternPart(pattern, key) ?? '')
    if (user === undefined || user === '') continue
    if (!users.has(user) || canonicalKey(key) === key) users.set(user, oneLine(key, value))
  }
  return [...users].sort(([a], [b]) => (a < b ? -1 : 1)).map(([user, value]) => ({ user, value }))
}

/** `localhost` is both loopbacks; an IPv6 address needs brackets before its port. */
function listeners(host: string, port: string): string {
  if (host === 'localhost') return `127.0.0.1:${port},[::1]:${port}`
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/**
 * systemd knows addresses only. A name is looked up and bound by the daemon itself at its start; the
 * unit, which needs a socket, then gets one that nobody asks.
 */
function streams(host: string, port: string): string[] {
  if (host !== 'localhost' && isIP(host) === 0) return ['@univention-mtpolicyd']
  return listeners(host, port).split(',')
}
