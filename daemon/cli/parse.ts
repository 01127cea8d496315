/**
 * What the words of a command line mean: one parser for all commands. Nothing is printed or run
 * here, the result is a value. How options are told from operands is in words.ts.
 */

import { nearestName } from '../policy/problem.ts'
import { type Command, type Options, operandCount, type ParsedValues } from './command.ts'
import { helpOption } from './options.ts'
import { type Mistake, readOwnWords, readUcrWords, unknownOption } from './words.ts'

export interface Program {
  readonly name: string
  /** Before the command. */
  readonly options: Options
  readonly commands: readonly Command[]
  /** Whose complaint it is if no command is named, or one that does not exist. */
  readonly dialect: 'own' | 'ucr'
}

export type Call = { readonly root: string } & (
  | { readonly kind: 'version' }
  /** The list is empty if all commands are meant. */
  | { readonly kind: 'help'; readonly commands: readonly Command[] }
  | { readonly kind: 'run'; readonly command: Command; readonly values: ParsedValues }
  | { readonly kind: 'mistake'; readonly mistake: Mistake; readonly command?: Command }
)

export function parseCall(words: readonly string[], program: Program): Call {
  const { root, before, word, rest, isVersion, mistake } = takeGlobals(words, program)
  if (mistake) return { root, kind: 'mistake', mistake }
  if (isVersion) return { root, kind: 'version' }
  const asksHelp = before.some(one => ['--help', '-h', '-?'].includes(one))
  if (word === 'help' || asksHelp)
    return help(root, [word === 'help' ? '' : word, ...rest], program)
  if (word === undefined) return { root, kind: 'mistake', mistake: withoutCommand(before, program) }

  const found = findCommand(word, rest, program)
  if ('mistake' in found) {
    if (rest.includes('--help') || rest[0] === '-h') return help(root, [word, ...rest], program)
    return { root, kind: 'mistake', mistake: found.mistake }
  }
  const { command } = found
  const read = readWords(command, before, found.rest, program)
  if (read.kind === 'help') return { root, kind: 'help', commands: [command] }
  if (read.kind === 'mistake') return { root, kind: 'mistake', mistake: read.mistake, command }
  return { root, kind: 'run', command, values: read.values }
}

/** The program's own options, the options of the command before it, and the command. */
function takeGlobals(words: readonly string[], { options }: Program) {
  const before: string[] = []
  let root = options.root?.default ?? '/'
  let isVersion = false
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    if (!word.startsWith('-')) return { root, before, word, rest: words.slice(at + 1), isVersion }
    if (options.root !== undefined && /^--root(?:=|$)/.test(word)) {
      const value = word === '--root' ? words[++at] : word.slice('--root='.length)
      if (value === undefined || value === '') {
        const mistake = { kind: 'no-argument', option: '--root', argument: 'DIR' } as const
        return { root, before, word: undefined, rest: [], isVersion, mistake }
      }
      root = value
    } else if (options.version !== undefined && (word === '--version' || word === '-v')) {
      isVersion = true
    } else before.push(word)
  }
  return { root, before, word: undefined, rest: [], isVersion }
}

function withoutCommand([option]: readonly string[], program: Program): Mistake {
  const filters = filtersOf(program.commands)
  if (option === undefined || filters.has(option)) return { kind: 'no-command' }
  return unknownOption(option, program.options, true)
}

/** The help of what these words begin with; `postfix` alone means all that begin with it. */
function help(root: string, words: readonly (string | undefined)[], { commands }: Program): Call {
  const [first, second] = words.filter(word => word !== undefined && /^[^-]/.test(word))
  if (first === undefined) return { root, kind: 'help', commands: [] }
  const exact = commands.filter(({ name }) => name === first || name === `${first} ${second}`)
  const found =
    exact.length > 0 ? exact : commands.filter(({ name }) => name.split(' ')[0] === first)
  if (found.length > 0) return { root, kind: 'help', commands: found }
  return { root, kind: 'mistake', mistake: unknownCommand(first, commands) }
}

type Found =
  | { readonly command: Command; readonly rest: readonly string[] }
  | { readonly mistake: Mistake }

function findCommand(word: string, rest: readonly string[], { commands }: Program): Found {
  const single = commands.find(({ name }) => name === word)
  if (single) return { command: single, rest }
  const family = commands.filter(({ name }) => name.split(' ')[0] === word)
  if (family.length === 0) return { mistake: unknownCommand(word, commands) }
  const at = firstOperand(rest, Object.assign({}, ...family.map(({ options }) => options)))
  const verb = rest[at]
  const verbs = family.map(({ name }) => name.split(' ')[1] ?? '')
  if (verb === undefined) return { mistake: { kind: 'half-a-command', word, verbs } }
  const command = family.find(({ name }) => name === `${word} ${verb}`)
  if (command) return { command, rest: [...rest.slice(0, at), ...rest.slice(at + 1)] }
  const near = nearestName(verb, verbs)
  const suggestion = near === undefined ? {} : { near: `${word} ${near}` }
  return { mistake: { kind: 'unknown-command', word: `${word} ${verb}`, ...suggestion } }
}

/** After options and their arguments. */
function firstOperand(words: readonly string[], options: Options): number {
  let at = 0
  for (; words[at]?.startsWith('-') === true; at++) {
    const option = options[(words[at] ?? '').replace(/^--/, '')]
    if (option !== undefined && option.type !== 'boolean') at++
  }
  return at
}

function unknownCommand(word: string, commands: readonly Command[]): Mistake {
  const second = commands.find(({ name }) => name.split(' ')[1] === word)
  const names = new Set(commands.map(({ name }) => name.split(' ')[0] ?? ''))
  const near = second?.name ?? nearestName(word, names)
  return { kind: 'unknown-command', word, ...(near === undefined ? {} : { near }) }
}

function filtersOf(commands: readonly Command[]): ReadonlySet<string> {
  const names = commands.flatMap(({ options }) =>
    Object.keys(options).filter(name => options[name]?.isFilter),
  )
  return new Set(names.map(name => `--${name}`))
}

type Read =
  | { readonly kind: 'help' }
  | { readonly kind: 'mistake'; readonly mistake: Mistake }
  | { readonly kind: 'values'; readonly values: ParsedValues }

function readWords(
  command: Command,
  before: readonly string[],
  rest: readonly string[],
  { commands }: Program,
): Read {
  const isUcr = command.dialect === 'ucr'
  const options: Options = { ...command.options, ...helpOption }
  const words = isUcr
    ? readUcrWords(options, filtersOf(commands), before, rest)
    : readOwnWords(options, [...before, ...rest])
  if (words.given.has('help')) return { kind: 'help' }
  const mistake = words.mistake ?? miscount(command, words.operands)
  if (mistake) return { kind: 'mistake', mistake }
  return { kind: 'values', values: words.values() }
}

function miscount(command: Command, operands: readonly string[]): Mistake | undefined {
  const { least, most } = operandCount(command)
  if (operands.length < least) return { kind: 'too-few' }
  const extra = operands[most]
  // UCR ignores what is too many.
  if (extra === undefined || command.dialect === 'ucr') return undefined
  return { kind: 'too-many', word: extra }
}
