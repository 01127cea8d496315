/** The text of --help, from the declarations, in 80 columns. */

import { filled, wrap } from '../text/wrap.ts'
import { type Command, type OptionDeclaration, type Options, underHeadings } from './command.ts'
import type { Program } from './parse.ts'

const COLUMNS = 79

/** `-c, --config FILE`; options without a letter line up with the others. */
export function optionHead(name: string, { short, argument }: OptionDeclaration): string {
  const letter = short === undefined ? '' : `-${short}, `
  return `${letter}--${name}${argument === undefined ? '' : ` ${argument}`}`
}

export function optionList(options: Options): string {
  const rows = Object.entries(options)
    .filter(([, option]) => !option.isHidden)
    .map(([name, option]) => {
      const indent = option.short === undefined ? '    ' : ''
      return [indent + optionHead(name, option), option.doc] as const
    })
  return table(rows)
}

function commandList(commands: readonly Command[]): string {
  const head = ({ name, operands }: Command): string => `${name} ${operands}`.trimEnd()
  const width = Math.max(...commands.map(one => head(one).length))
  return underHeadings(commands)
    .map(([heading, list]) => {
      const rows = list.map(command => [head(command), command.summary] as const)
      return `${heading}\n${table(rows, width)}`
    })
    .join('\n')
}

/** The help of a program that has commands. */
export function programHelp({ name, options, commands }: Program): string {
  return `Usage: ${name} [--root DIR] COMMAND ...

${commandList(commands)}
Options
${optionList(options)}
For one command: ${name} COMMAND --help. The manual: man ${name}.
If an account was hacked: man mtpolicyd-hacked.
Exit status: 0 done, 1 refused or failed, 2 a value that does not fit its type,
3 done in part, 64 wrong command line.
`
}

/** The help of one command. */
export function commandHelp(program: string, command: Command): string {
  const { name, operands, options, paragraphs } = command
  const visible = Object.values(options).some(option => !option.isHidden)
  const synopsis = `${name}${visible ? ' [OPTIONS]' : ''} ${operands}`.trimEnd()
  const text = paragraphs.map(one => `${wrap(one, COLUMNS).join('\n')}\n`).join('\n')
  return `Usage: ${program} ${synopsis}\n\n${text}${visible ? `\n${optionList(options)}` : ''}`
}

function table(rows: ReadonlyArray<readonly [string, string]>, least = 0): string {
  const width = Math.max(least, ...rows.map(([head]) => head.length))
  return rows
    .map(([head, text]) => {
      const lines = wrap(filled(text), COLUMNS - width - 4)
      const indent = ' '.repeat(width + 4)
      return `  ${head.padEnd(width)}  ${lines.join(`\n${indent}`)}\n`
    })
    .join('')
}
