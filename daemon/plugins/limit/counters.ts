/** Blocks that share a counter have to count the same: in one window, one unit, and for one kind of subject. */

import type { NamedBlock } from '../../policy/plugin.ts'
import { fatal, type Problem } from '../../policy/problem.ts'
import type { Section, Setting, Settings } from '../../policy/setting.ts'
import { window, writtenWindow } from './window.ts'

/** What has to be the same, as it is written. */
const SAME = ['window', 'unit', 'per'] as const

/** @param settings of the plugin: which value stands where none is written */
export function compareCounters(
  blocks: readonly NamedBlock[],
  settings: Settings,
  problems: Problem[],
): void {
  const first = new Map<string, Section>()
  for (const { name, block } of blocks) {
    const counter = written(block, 'counter') ?? name
    const other = first.get(counter)
    if (!other) first.set(counter, block)
    else compare(block, other, counter, settings, problems)
  }
}

function compare(
  block: Section,
  other: Section,
  counter: string,
  settings: Settings,
  problems: Problem[],
): void {
  const wrong = SAME.find(
    option => meant(block, option, settings) !== meant(other, option, settings),
  )
  if (wrong === undefined) return
  const option = block.options.find(({ name }) => name === wrong)
  const value = meant(other, wrong, settings)
  problems.push(
    fatal(
      option?.valuePlace ?? block.place,
      `"${wrong}" in <Plugin ${block.name}>: the counter "${counter}" is shared with ` +
        `<Plugin ${other.name}> (line ${other.place.line}), so ${wrong} = ${value} is expected, or another counter`,
    ),
  )
}

/** In one spelling. What cannot be read has been reported, and counts as the default. */
function meant(block: Section, option: (typeof SAME)[number], settings: Settings): string {
  const text = written(block, option)
  const read = <T>(setting: Setting<T>): T =>
    (text === undefined ? undefined : setting.parse(text)?.value) ?? setting.fallback
  const setting = settings[option]
  return option === 'window' ? writtenWindow(read(window)) : String(setting && read(setting))
}

function written({ options }: Section, name: string): string | undefined {
  return options.find(option => option.name === name)?.value
}
