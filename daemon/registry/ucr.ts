/**
 * On a UCS server the Univention Config Registry is the registry.
 *
 * Its layers are read from its own files as it reads them; every write goes through its command,
 * so that its checks, its log and its templates see what they are used to. Nothing here decides
 * anything: which program, which arguments, what it answered.
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Scope } from './layers.ts'

export interface CommandResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

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

/** The arguments of `ucr` for one kind of change. An argument never starts with `-`: a key does not. */
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

export const runCommand: CommandRunner = (program, args) => {
  const { execFile } = process.getBuiltinModule('node:child_process')
  return new Promise((resolve, reject) => {
    execFile(program, [...args], { encoding: 'utf8' }, (error, stdout, stderr) => {
      if (error === null) resolve({ status: 0, stdout, stderr })
      else if (typeof error.code === 'number') resolve({ status: error.code, stdout, stderr })
      else reject(error)
    })
  })
}
