/**
 * The registry commands of mtpolicyctl: set unset get search dump info shell commit update.
 *
 * Output, error text and exit status are those of UCR's own command, so that scripts written for it
 * work: 0 done, 1 refused or failed, 2 a value against its type. After UCR's lines a refusal has one
 * line of ours, indented, that says what was expected. Not copied: register and unregister (there
 * is one package here), filter and UCR's template language, Python's regular expressions (ours
 * are JavaScript's), keys with blanks or `*` (refused), the empty lines of `--non-empty`.
 */

import { isErrno } from '../registry/layers.ts'
import { LockTimeout } from '../registry/lock.ts'
import { openRegistry } from '../registry/registry.ts'
import { commands } from './command-table.ts'
import type { Call, RegistryIo } from './registry-call.ts'
import { runCommit, runSet, runUnset, runUpdate } from './registry-change.ts'
import { runDump, runGet, runInfo, runSearch, runShell } from './registry-show.ts'

export type { RegistryIo } from './registry-call.ts'

export const registryActions = [
  'set',
  'unset',
  'get',
  'search',
  'dump',
  'info',
  'shell',
  'commit',
  'update',
] as const

type Action = (typeof registryActions)[number]

interface ActionRules {
  readonly run: (call: Call) => number | Promise<number>
  readonly leastArguments: number
}

const actions: Readonly<Record<Action, ActionRules>> = {
  set: { run: runSet, leastArguments: 1 },
  unset: { run: runUnset, leastArguments: 1 },
  get: { run: runGet, leastArguments: 1 },
  search: { run: runSearch, leastArguments: 0 },
  dump: { run: runDump, leastArguments: 0 },
  info: { run: runInfo, leastArguments: 1 },
  shell: { run: runShell, leastArguments: 0 },
  commit: { run: runCommit, leastArguments: 0 },
  update: { run: runUpdate, leastArguments: 0 },
}

const ALL_FILTERS = ['--shell', '--keys-only', '--sort', '--json']

/** As the table says: filters stand before the action, options with an argument are `--name=`. */
function optionsOf(action: Action): { options: readonly string[]; filters: readonly string[] } {
  const declared = Object.entries(commands.find(({ name }) => name === action)?.options ?? {})
  const written = (isFilter: boolean): string[] =>
    declared
      .filter(([, option]) => (option.isFilter === true) === isFilter)
      .map(([name, { argument }]) => `--${name}${argument === undefined ? '' : '='}`)
  return { options: written(false), filters: written(true) }
}

/** Runs one registry command; `given` begins with the global options or the action. */
export async function runRegistryCommand(
  given: readonly string[],
  io: RegistryIo,
): Promise<number> {
  // Ours, not UCR's: it may stand anywhere, and no variable is called that.
  const argv = given.includes('--json')
    ? ['--json', ...given.filter(argument => argument !== '--json')]
    : given
  const fail = (line: string): number => {
    io.stderr(`${line}\n`)
    return 1
  }
  try {
    const registry = openRegistry(io)
    if (registry.disabled) return 0

    const globals = takeWhile(argv, argument => argument.startsWith('--'))
    const unknown = globals.find(option => !ALL_FILTERS.includes(option))
    if (unknown !== undefined) return fail(`E: unknown option ${unknown}`)
    const name = argv[globals.length]
    if (name === undefined) return fail('E: missing action, see --help')
    if (!isAction(name)) return fail(`E: unknown action "${name}", see --help`)
    const rules = { ...actions[name], ...optionsOf(name) }
    const foreign = globals.find(option => !rules.filters.includes(option) && option !== '--sort')
    if (foreign !== undefined) return fail(`E: invalid option ${foreign} for command ${name}`)

    const options = new Map<string, string>()
    let next = globals.length + 1
    for (; argv[next]?.startsWith('--') === true; next++) {
      const option = argv[next] ?? ''
      const [given, ...rest] = option.split('=')
      if (rules.options.includes(option)) {
        options.set(option, '')
      } else if (rules.options.includes(`${given}=`)) {
        const value = rest.length > 0 ? rest.join('=') : argv[++next]
        if (value === undefined) {
          return fail(`E: option ${given} for command ${name} expects an argument`)
        }
        options.set(given ?? '', value)
      } else {
        return fail(`E: invalid option ${option} for command ${name}`)
      }
    }
    const args = argv.slice(next)
    if (args.length < rules.leastArguments) {
      return fail(`E: too few arguments for command [${name}]\n${HINT}`)
    }
    const filters = {
      shell: globals.includes('--shell'),
      keysOnly: globals.includes('--keys-only'),
      json: globals.includes('--json'),
    }
    return await rules.run({ registry, io, filters, options, args })
  } catch (error) {
    const why = reason(error)
    if (why === undefined) throw error
    return fail(`E: your request could not be fulfilled\n${HINT}\n  ${why}`)
  }
}

const HINT = 'try `mtpolicyctl --help` for more information'

/** Of what the machine refuses the operator is told why; anything else is a bug of ours. */
function reason(error: unknown): string | undefined {
  if (error instanceof LockTimeout) return error.message
  if (isErrno(error, 'SQLITE_CANTOPEN', 'SQLITE_READONLY', 'SQLITE_PERM', 'SQLITE_IOERR')) {
    return `the registry cannot be locked: ${error.message}`
  }
  return error instanceof Error && 'syscall' in error ? error.message : undefined
}

function isAction(name: string): name is Action {
  return Object.hasOwn(actions, name)
}

function takeWhile(list: readonly string[], test: (item: string) => boolean): string[] {
  const end = list.findIndex(item => !test(item))
  return list.slice(0, end < 0 ? list.length : end)
}
