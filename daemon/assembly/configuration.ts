/**
 * Which configuration is in force, and what is wrong with one. The daemon and mtpolicyctl both use this,
 * so that a check and a start never disagree.
 */

import { readFileSync } from 'node:fs'
import { configFiles } from '../config/files.ts'
import { ledgerSlot } from '../ledger/slot.ts'
import { countryPool } from '../lookup/country-pool.ts'
import { openResolver } from '../lookup/resolver.ts'
import type { Log } from '../policy/ports/log.ts'
import { fatal, type Notice, type Problem } from '../policy/problem.ts'
import { ensureRendered } from '../registry/ensure-rendered.ts'
import { isErrno } from '../registry/layers.ts'
import { openRegistry } from '../registry/registry.ts'
import { systemClock } from '../system/clock.ts'
import { asDaemon, canBeDaemon, DAEMON_USER } from '../system/daemon-user.ts'
import { assemble } from './assemble.ts'
import type { Paths } from './paths.ts'

export interface Source {
  readonly file: string
  /** Undefined: the file's own text. */
  readonly text: string | undefined
  /** file: named on the command line. hand-written: instead of the rendered one, so the host variables have no effect. */
  readonly origin: 'file' | 'variables' | 'hand-written'
  /** What there is to say about how it came about. */
  readonly notices: readonly Notice[]
}

/**
 * The given file, or the one rendered from the host variables, which is rendered first if it is missing or
 * out of date. `systemdHasSockets`: for the daemon, which knows for sure; otherwise the host is examined.
 */
export async function findConfiguration(
  paths: Paths,
  file: string | undefined,
  systemdHasSockets?: boolean,
): Promise<Source> {
  if (file !== undefined) return { file, text: undefined, origin: 'file', notices: [] }
  const registry = openRegistry({ root: paths.root, env: process.env, systemdHasSockets })
  return ensureRendered({
    registry,
    templates: paths.templates,
    check: (staged, target) => checkStaged(paths, staged, target),
  })
}

/** Everything wrong with a configuration. Opens neither state nor sockets. */
export async function checkConfiguration(
  paths: Paths,
  file: string,
  text: string | undefined,
): Promise<readonly Problem[]> {
  const { ledger } = ledgerSlot()
  const clock = systemClock
  const countries = countryPool(nothing)
  const dns = openResolver({ env: process.env, clock, log: nothing })
  const log = () => silentLog
  const assembly = await assemble({ file, text, paths, clock, ledger, dns, countries, log })
  assembly.close()
  dns.close()
  return assembly.problems
}

export interface Verdict extends Pick<Source, 'file' | 'notices'> {
  readonly problems: readonly Problem[]
}

/**
 * What the daemon would find wrong with its configuration if it started now. When root asks, the check runs
 * with the daemon's rights; what has to be rendered first is rendered with root's.
 */
export async function checkAsDaemon(paths: Paths, file: string | undefined): Promise<Verdict> {
  if (file !== undefined && canBeDaemon(paths.root)) return checkDraft(paths, file)
  const { file: name } = await findConfiguration(paths, file)
  const verdict = await asDaemon(paths.root, async (): Promise<Verdict> => {
    try {
      const source = await findConfiguration(paths, file)
      return { ...source, problems: await checkConfiguration(paths, source.file, source.text) }
    } catch (error) {
      if (!isErrno(error, 'EACCES')) throw error
      const place = { file: error.path ?? name, line: 1, column: 1 }
      return {
        file: name,
        notices: [],
        problems: [fatal(place, 'cannot be read: permission denied')],
      }
    }
  })
  return { ...verdict, problems: namingUser(paths, verdict.problems) }
}

/** A file that root names may be a draft that will be installed elsewhere: only what it names has to be readable. */
async function checkDraft(paths: Paths, file: string): Promise<Verdict> {
  const text = readable(file)
  const isClosed =
    text !== undefined && (await asDaemon(paths.root, async () => readable(file))) === undefined
  const notices: Notice[] = []
  if (isClosed) {
    const message = `${file}: ${DAEMON_USER} cannot read it where it is now`
    notices.push({ severity: 'warning', message })
  }
  return { file, notices, problems: await checkTextAsDaemon(paths, file, text) }
}

/** Undefined if it cannot be read; the check reports any other reason. */
function readable(file: string): string | undefined {
  try {
    return configFiles.read(file)
  } catch {
    return undefined
  }
}

/** Root can read everything, so the message says whose permission is missing. */
function namingUser({ root }: Paths, problems: readonly Problem[]): readonly Problem[] {
  if (!canBeDaemon(root)) return problems
  return problems.map(problem => {
    if (!/permission denied|EACCES/.test(problem.message)) return problem
    return { ...problem, message: `${problem.message} (the daemon runs as ${DAEMON_USER})` }
  })
}

/**
 * Checks a staged file as if it were already in place: includes are relative to its target. Files that are
 * rendered for other programs are not checked.
 */
export async function checkStaged(
  paths: Paths,
  staged: string,
  target: string,
  check = checkConfiguration,
): Promise<readonly Problem[]> {
  if (target !== paths.config) return []
  return check(paths, target, readFileSync(staged, 'utf8'))
}

/** Checks with the daemon's rights: for commands, which may be run by root. */
export async function checkTextAsDaemon(
  paths: Paths,
  file: string,
  text: string | undefined,
): Promise<readonly Problem[]> {
  const check = () => checkConfiguration(paths, file, text)
  return namingUser(paths, await asDaemon(paths.root, check))
}

const nothing = (): undefined => undefined

/** For callers that show the problems themselves. */
export const silentLog: Log = {
  debug: 0,
  error: nothing,
  warning: nothing,
  notice: nothing,
  connection: nothing,
  trace: nothing,
}
