/**
 * On a UCS server the Univention Config Registry is the registry.
 *
 * Its layers are read from its own files, the way UCR reads them; every write goes through its
 * command, so that its checks, log and templates work as usual. Nothing is decided here: only which
 * program to run, with which arguments, and what it answered.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { execute, type Finished } from '../system/external-program.ts'
import type { Scope } from './layers.ts'

export type CommandResult = Finished

/** Runs a program with arguments, never through a shell. */
export type CommandRunner = (program: string, args: readonly string[]) => Promise<CommandResult>

/** UCR's program below a root, or undefined where this host has none. */
export function findUcr(root: string): string | undefined {
  return ['usr/sbin/univention-config-registry', 'usr/sbin/ucr']
    .map(path => join(root, path))
    .find(path => existsSync(path))
}

const SCOPE_OPTIONS: ReadonlyMap<Scope, string> = new Map([
  ['forced', '--force'],
  ['ldap', '--ldap-policy'],
  ['schedule', '--schedule'],
])

/**
 * The arguments of `ucr` for one kind of change. No argument starts with `-`, because no key does.
 */
export function ucrArguments(
  action: 'set' | 'unset',
  scope: Scope,
  options: { ignoreCheck?: boolean },
  rest: readonly string[],
): string[] {
  const scopeOption = SCOPE_OPTIONS.get(scope)
  return [
    action,
    ...(scopeOption === undefined ? [] : [scopeOption]),
    ...(options.ignoreCheck === true ? ['--ignore-check'] : []),
    ...rest,
  ]
}

/** UCR runs its templates and modules meanwhile, which may take any time. Rejects if it cannot be run. */
export const runCommand: CommandRunner = async (program, argv) => {
  const result = await execute(program, argv, {
    encoding: 'utf8',
    milliseconds: undefined,
    mostBytes: 1 << 20,
  })
  if ('failure' in result) throw result.failure
  return result
}
