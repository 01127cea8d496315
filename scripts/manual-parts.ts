/** The parts of the manual that are generated from declarations, in the markup of roff.ts. */

import {
  type Command,
  type OptionDeclaration,
  type Options,
  underHeadings,
} from '../daemon/cli/command.ts'
import { commands } from '../daemon/cli/commands.ts'
import { optionHead } from '../daemon/cli/usage.ts'
import type { Plugin } from '../daemon/policy/plugin.ts'
import type { Setting, Settings } from '../daemon/policy/setting.ts'
import { environmentName } from '../daemon/registry/environment.ts'
import { checkValue } from '../daemon/registry/value-types.ts'
import { declarations, isPattern, type Variable } from '../daemon/registry/variables.ts'
import { filled } from '../daemon/text/wrap.ts'

export function optionsText(options: Options): string {
  return Object.entries(options)
    .filter(([, option]) => !option.isHidden)
    .map(([name, option]) => `: ${optionTerm(name, option)}\n${filled(option.doc)}`)
    .join('\n\n')
}

/** `-c`, `--config` _FILE_ */
function optionTerm(name: string, option: OptionDeclaration): string {
  const { argument } = option
  const head = optionHead(name, { ...option, argument: '' }).trimEnd()
  const flags = head.replace(/[^\s,]+/g, '`$&`')
  return argument === undefined ? flags : `${flags} ${operands(argument)}`
}

/** Words in capitals are placeholders. */
function operands(text: string): string {
  return text.replace(/[A-Z]+/g, '_$&_')
}

export function commandsText(): string {
  return underHeadings(commands)
    .map(([heading, list]) => `## ${heading}\n\n${list.map(commandText).join('\n\n')}`)
    .join('\n\n')
}

function commandText(command: Command): string {
  const { name, operands: words, paragraphs } = command
  const visible = Object.entries(command.options).filter(([, option]) => !option.isHidden)
  const options = visible.map(
    ([option, declared]) => `+\n${optionTerm(option, declared)}: ${filled(declared.doc)}`,
  )
  const [first = '', ...more] = paragraphs
  const head = `\`${name}\` ${operands(words)}`.trimEnd()
  return [`: ${head}\n${first}`, ...more.map(one => `+\n${one}`), ...options].join('\n\n')
}

/** What each command prints with --json. */
export function jsonText(): string {
  return commands
    .flatMap(({ name, json }) => (json === undefined ? [] : [`: \`${name}\`\n${filled(json)}`]))
    .join('\n\n')
}

export function settingsText(settings: Settings): string {
  return Object.entries(settings)
    .map(
      ([name, setting]) => `: \`${name}\` = ${valueText(setting)}\n${settingText(name, setting)}`,
    )
    .join('\n\n')
}

/** `a text` says no more than _TEXT_. */
function valueText({ expected }: Setting<unknown>): string {
  if (expected === 'a text') return '_TEXT_'
  if (expected === 'a comma-separated list') return '_LIST_'
  if (expected.startsWith('a whole number')) return '_NUMBER_'
  if (expected.startsWith('a number')) return '_NUMBER_'
  if (/^(?:whole )?seconds /.test(expected)) return '_SECONDS_'
  if (expected === 'a regular expression') return '_REGEX_'
  if (expected.startsWith('0 or 1')) return '`0` | `1`'
  if (expected === 'on or off') return '`on` | `off`'
  const words = /^one of: (.*)$/.exec(expected)?.[1]?.split(', ')
  return words === undefined ? '_VALUE_' : words.map(word => `\`${word}\``).join(' | ')
}

/** The names in valueText say enough, and mtpolicyd.conf(5) has the details. */
const SELF_EVIDENT =
  /^(a text|a comma-separated list|a regular expression|a whole number|one of: .*|on or off|0 or 1 .*|a number such.*)$/

function settingText(name: string, setting: Setting<unknown>): string {
  const { doc, expected, required, repeatable, twin } = setting
  const sentences = [doc]
  if (!SELF_EVIDENT.test(expected)) sentences.push(`Expected: ${expected}.`)
  sentences.push(required ? 'Required.' : defaultText(setting))
  if (repeatable) sentences.push('May be written several times.')
  if (twin) sentences.push(`May differ per mail: \`uc_${name}\` (see mtpolicyd.conf(5)).`)
  return sentences.join(' ')
}

function defaultText({ fallback, expected }: Setting<unknown>): string {
  // The default of a value that may differ per mail: what applies at the beginning of every mail.
  const value: unknown = typeof fallback === 'function' ? fallback() : fallback
  if (value === undefined || value === '' || (Array.isArray(value) && value.length === 0)) {
    return 'Default: none.'
  }
  if (typeof value === 'boolean') {
    const words = expected === 'on or off' ? (['on', 'off'] as const) : (['1', '0'] as const)
    return `Default: \`${words[value ? 0 : 1]}\`.`
  }
  const isWritten = typeof value === 'object' && value !== null && 'text' in value
  return `Default: \`${String(isWritten ? value.text : value)}\`.`
}

export function variablesText(): string {
  return declarations.map(variableText).join('\n\n')
}

function variableText(variable: Variable): string {
  const { name, default: value, description } = variable
  const sentences = [description.en, `Expected: ${expectedOf(variable)}.`]
  sentences.push(value === '' ? 'Default: none.' : `Default: \`${value}\`.`)
  if (!isPattern(name)) sentences.push(`Environment: \`${environmentName(name)}\`.`)
  const [before = '', after] = name.split('.*')
  const placeholder = before === 'mtpolicyd/domain/' ? '_DOMAIN_' : '_NAME_'
  const head = after === undefined ? `\`${name}\`` : `\`${before}\`${placeholder}\`${after}\``
  return `: ${head}\n${sentences.join(' ')}`
}

/** What a type's check says it expects, obtained with a value that no type accepts. */
function expectedOf(variable: Variable): string {
  const checks = ['!', '\n', '!/!'].map(value => checkValue(variable, value))
  const refusal = checks.find(check => check.kind === 'bad')
  if (refusal === undefined) throw new Error(`${variable.name} takes anything`)
  return refusal.expected.replace(/^.*expected /, '')
}

export function pluginListText(plugins: readonly Plugin[]): string {
  return plugins
    .map(({ name, summary }) => `: \`${name}\`\n${summary} See mtpolicyd-${name.toLowerCase()}(7).`)
    .join('\n\n')
}
