/** The parts of the manual that are drawn from declarations, in the markup of roff.ts. */

import {
  type Command,
  commandGroups,
  type OptionDeclaration,
  type Options,
} from '../daemon/cli/command-table.ts'
import { optionHead } from '../daemon/cli/usage.ts'
import type { Plugin } from '../daemon/policy/plugin.ts'
import type { Setting, Settings } from '../daemon/policy/setting.ts'
import { environmentName } from '../daemon/registry/environment.ts'
import { checkValue } from '../daemon/registry/value-types.ts'
import { declarations, isPattern, type Variable } from '../daemon/registry/variables.ts'

export function optionsText(options: Options): string {
  return Object.entries(options)
    .filter(([, option]) => !option.isHidden)
    .map(([name, option]) => `: ${optionTerm(name, option)}\n${option.doc}`)
    .join('\n\n')
}

/** `-c`, `--config` _FILE_ */
function optionTerm(name: string, option: OptionDeclaration): string {
  const { argument } = option
  const head = optionHead(name, { ...option, argument: '' }).trimEnd()
  const flags = head.replace(/[^\s,]+/g, '`$&`')
  return argument === undefined ? flags : `${flags} ${operands(argument)}`
}

/** Words in capitals are what somebody fills in. */
function operands(text: string): string {
  return text.replace(/[A-Z]+/g, '_$&_')
}

export function commandsText(): string {
  return commandGroups
    .map(([title, commands]) => `## ${title}\n\n${commands.map(commandText).join('\n\n')}`)
    .join('\n\n')
}

function commandText(command: Command): string {
  const visible = Object.entries(command.options).filter(([, option]) => !option.isHidden)
  const options = visible.map(([name, option]) => `+\n${optionTerm(name, option)}: ${option.doc}`)
  const head = `\`${command.name}\` ${operands(command.operands)}`.trimEnd()
  return [`: ${head}\n${command.more}`, ...options].join('\n\n')
}

export function settingsText(settings: Settings): string {
  return Object.entries(settings)
    .map(
      ([name, setting]) => `: \`${name}\` = ${valueText(setting)}\n${settingText(name, setting)}`,
    )
    .join('\n\n')
}

/** `a text` says nothing that _TEXT_ does not say. */
function valueText({ expected }: Setting<unknown>): string {
  if (expected === 'a text') return '_TEXT_'
  if (expected === 'a comma-separated list') return '_LIST_'
  if (expected.startsWith('a whole number')) return '_NUMBER_'
  if (expected.startsWith('a number')) return '_NUMBER_'
  if (expected.startsWith('0 or 1')) return '`0` | `1`'
  if (expected === 'on or off') return '`on` | `off`'
  const words = /^one of: (.*)$/.exec(expected)?.[1]?.split(', ')
  return words === undefined ? '_VALUE_' : words.map(word => `\`${word}\``).join(' | ')
}

/** The names in valueText say the rest, and mtpolicyd.conf(5) says it in full. */
const SELF_EVIDENT =
  /^(a text|a comma-separated list|a whole number|one of: .*|on or off|0 or 1 .*|a number such.*)$/

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
  // Of a value that may differ per mail: what every mail begins with.
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
  const head = after === undefined ? `\`${name}\`` : `\`${before}\`_NAME_\`${after}\``
  return `: ${head}\n${sentences.join(' ')}`
}

/** What the check of a value says it expected, asked with a value that no type takes. */
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
