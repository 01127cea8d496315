/**
 * What the registry commands have in common.
 *
 * Output, error text and exit status are those of UCR's own command, so that scripts written for it
 * work: 0 done, 1 refused or failed, 2 a value that does not fit its type. After UCR's lines a
 * refusal has one line of ours, indented, that says what was expected. Not copied: register and
 * unregister (there is one package here), filter and UCR's template language, Python's regular
 * expressions (ours are JavaScript's), keys with spaces or `*` (refused), the empty lines of
 * `--non-empty`.
 */

import { formatNotice } from '../policy/problem.ts'
import type { CommitOptions, CommitResult } from '../registry/commit.ts'
import { isErrno, type Scope } from '../registry/layers.ts'
import { LockTimeout } from '../registry/lock.ts'
import type { Registry } from '../registry/registry.ts'
import type { ExitStatus } from './command.ts'
import type { Host } from './host.ts'

/** Opens the registry for `work`. A failure of the machine is reported as UCR reports one. */
export async function withRegistry(
  host: Host,
  work: (registry: Registry) => ExitStatus | Promise<ExitStatus>,
): Promise<ExitStatus> {
  try {
    const registry = host.registry.open()
    return registry.disabled ? 0 : await work(registry)
  } catch (error) {
    const why = reason(error)
    if (why === undefined) throw error
    const hint = 'try `mtpolicyctl --help` for more information'
    host.err(`E: your request could not be fulfilled\n${hint}\n  ${why}\n`)
    return 1
  }
}

/** Why the machine refused; undefined for anything else, which is a bug of ours. */
function reason(error: unknown): string | undefined {
  if (error instanceof LockTimeout) return error.message
  if (isErrno(error, 'SQLITE_CANTOPEN', 'SQLITE_READONLY', 'SQLITE_PERM', 'SQLITE_IOERR')) {
    return `the registry cannot be locked: ${error.message}`
  }
  return error instanceof Error && 'syscall' in error ? error.message : undefined
}

/** The layer that these options change. */
export function scopeFor(
  { files }: Registry,
  values: Readonly<Partial<Record<'force' | 'forced' | 'ldap-policy' | 'schedule', boolean>>> = {},
): Scope {
  if (files.some(({ scope }) => scope === 'custom')) return 'custom'
  if (values.force || values.forced) return 'forced'
  if (values['ldap-policy']) return 'ldap'
  return values.schedule ? 'schedule' : 'normal'
}

export function commitOptions(
  host: Host,
  registry: Registry,
  forceTemplate = false,
): CommitOptions {
  const { templates, check, reload } = host.registry
  return { registry, templates, check, reload, forceTemplate }
}

/** Shows what came of a commit. */
export function report(host: Host, result: CommitResult): ExitStatus {
  if (result.ucr !== undefined) {
    host.out(result.ucr.stdout)
    host.err(result.ucr.stderr)
  }
  if (!result.refused) for (const file of result.files) host.out(`File: ${file}\n`)
  for (const notice of result.notices) host.err(`${formatNotice(notice)}\n`)
  if (result.refused || result.reloadFailed) return 1
  return result.ucr?.status ?? 0
}
