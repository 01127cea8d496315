/** Runs a command of mtpolicyctl on a host of the test's own. */

import { pathsBelow } from '../../daemon/assembly/paths.ts'
import type { Command } from '../../daemon/cli/command.ts'
import { commands } from '../../daemon/cli/commands.ts'
import type { DaemonClient, Host } from '../../daemon/cli/host.ts'
import { controlOptions } from '../../daemon/cli/options.ts'
import { pastAccess } from '../../daemon/cli/past-access.ts'
import { runWords } from '../../daemon/cli/run-words.ts'
import type { CommitOptions } from '../../daemon/registry/commit.ts'
import { openRegistry, type RegistryOptions } from '../../daemon/registry/registry.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { NOT_FOUND } from '../../daemon/system/external-program.ts'

export type FakeHost = Partial<Host> & { readonly root: string }

/** No daemon runs. */
export const noDaemon: DaemonClient = {
  status: async () => 'not running',
  reload: async () => undefined,
  explain: async () => undefined,
  why: async () => undefined,
  order: async () => undefined,
  release: async () => undefined,
  reset: async () => undefined,
  measures: async () => undefined,
  endedMeasures: async () => undefined,
  top: async () => undefined,
  webLogin: async () => undefined,
  webTokens: async () => undefined,
  webTokenAdd: async () => undefined,
  webTokenRemove: async () => undefined,
  user: async () => undefined,
  alerts: async () => undefined,
  alertTest: async () => undefined,
  accounts: async () => [],
  codes: async () => [],
  watch() {
    throw new Error('not running')
  },
  forget: async () => undefined,
  requests: async () => {
    throw new Error('not running')
  },
  hours() {
    throw new Error('not running')
  },
}

/** A host below a root, without a daemon, without Postfix, without other programs. */
export function fakeHost({ root, ...given }: FakeHost): Host {
  const paths = given.paths ?? pathsBelow(root)
  const env = given.env ?? {}
  return {
    paths,
    env,
    clock: systemClock,
    out: () => undefined,
    err: () => undefined,
    screen: undefined,
    flushed: async () => undefined,
    isTerminal: false,
    past: pastAccess(paths),
    read: () => '',
    askPassword: async () => '',
    run: async () => ({ status: NOT_FOUND, stdout: '', stderr: '' }),
    daemon: noDaemon,
    registry: {
      open: () => openRegistry({ root: paths.root, env }),
      names: () => openRegistry({ root: paths.root, env }).snapshot().merged.keys(),
      templates: paths.templates,
      check: () => [],
      reload: () => undefined,
    },
    configuration: {
      check: async () => ({ file: paths.config, notices: [], problems: [] }),
      checkText: async () => [],
      onDisk: async () => [],
    },
    postfix: () => ({
      run: async () => ({ status: NOT_FOUND, stdout: '', stderr: '' }),
      endpoint: { host: 'localhost', port: 12_345 },
      stateFile: `${paths.state}/postfix.json`,
    }),
    ...given,
  }
}

/** The exit status; what is printed goes to the host. */
export function runCommand(words: readonly string[], given: FakeHost): Promise<number> {
  return run(words, fakeHost(given), commands, 'own')
}

function run(
  words: readonly string[],
  host: Host,
  list: readonly Command[],
  dialect: 'own' | 'ucr',
): Promise<number> {
  const program = {
    name: 'mtpolicyctl',
    options: controlOptions,
    commands: list,
    dialect,
  }
  return runWords(words, program, host, () => host)
}

export interface RegistryIo extends RegistryOptions {
  /** The directory of templates/. */
  readonly templates: string
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  readonly check: CommitOptions['check']
  readonly reload: CommitOptions['reload']
}

/** As if mtpolicyctl had the registry's commands alone, as UCR has. */
export async function runRegistryCommand(
  words: readonly string[],
  { stdout: out, stderr: err, templates, check, reload, ...options }: RegistryIo,
): Promise<number> {
  const { root, env } = options
  const open = () => openRegistry(options)
  const names = () => open().snapshot().merged.keys()
  const registry = { open, names, templates, check, reload }
  const host = fakeHost({ root, env, out, err, registry })
  const registryCommands = commands.filter(one => one.dialect === 'ucr')
  return run(words, host, registryCommands, 'ucr')
}
