/** The text of --help, from the table of commands, in 80 columns. */

import type { Command, OptionDeclaration, Options } from './command-table.ts'
import { wrap } from './wrap.ts'

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

export function commandList(groups: ReadonlyArray<readonly [string, readonly Command[]]>): string {
  const head = ({ name, operands }: Command): string => `${name} ${operands}`.trimEnd()
  const width = Math.max(...groups.flatMap(([, list]) => list.map(one => head(one).length)))
  return groups
    .map(([title, list]) => {
      const rows = list.map(command => [head(command), command.summary] as const)
      return `${title}\n${table(rows, width)}`
    })
    .join('\n')
}

/** The help of one command. */
export function commandHelp(program: string, { name, operands, more, ...rest }: Command): string {
  const visible = Object.values(rest.options).some(option => !option.isHidden)
  const synopsis = `${name}${visible ? ' [OPTIONS]' : ''} ${operands}`.trimEnd()
  const options = visible ? `\n${optionList(rest.options)}` : ''
  return `Usage: ${program} ${synopsis}\n\n${wrap(more, COLUMNS).join('\n')}\n${options}`
}

function table(rows: ReadonlyArray<readonly [string, string]>, least = 0): string {
  const width = Math.max(least, ...rows.map(([head]) => head.length))
  return rows
    .map(([head, text]) => {
      const lines = wrap(text, COLUMNS - width - 4)
      const indent = ' '.repeat(width + 4)
      return `  ${head.padEnd(width)}  ${lines.join(`\n${indent}`)}\n`
    })
    .join('')
}
