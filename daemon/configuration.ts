/**
 * Which configuration is in force, and what is wrong with one. The daemon and mtpolicyctl both ask
 * here, so that a check and a start never disagree.
 */

import { readFileSync } from 'node:fs'
import { assemble } from './assemble.ts'
import { ledgerSlot } from './ledger-slot.ts'
import { countryPool } from './lookup/country-pool.ts'
import { openResolver } from './lookup/resolver.ts'
import type { Paths } from './paths.ts'
import { systemClock } from './policy/clock.ts'
import type { Log } from './policy/log.ts'
import type { Problem } from './policy/problem.ts'
import { ensureRendered } from './registry/ensure-rendered.ts'
import { openRegistry } from './registry/registry.ts'

export interface Source {
  readonly file: string
  /** Undefined: what stands in the file. */
  readonly text: string | undefined
  /** file: named on the command line. hand-written: in the place of the rendered one, so the variables rest. */
  readonly origin: 'file' | 'variables' | 'hand-written'
  /** What is to be said about how it came about, one line each. */
  readonly lines: readonly string[]
}

/** The given file, or the one made from the host variables, which is made first if it is missing or old. */
export async function findConfiguration(paths: Paths, file: string | undefined): Promise<Source> {
  if (file !== undefined) return { file, text: undefined, origin: 'file', lines: [] }
  const registry = openRegistry({ root: paths.root, env: process.env })
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

/**
 * A staged file, judged as if it stood where it will be put: includes are relative to that place.
 * What is rendered for others than the daemon is not ours to judge.
 */
export async function checkStaged(
  paths: Paths,
  staged: string,
  target: string,
): Promise<readonly Problem[]> {
  if (target !== paths.config) return []
  return checkConfiguration(paths, target, readFileSync(staged, 'utf8'))
}

const nothing = (): undefined => undefined

/** For those who read the problems themselves. */
export const silentLog: Log = {
  debug: 0,
  error: nothing,
  warning: nothing,
  verdict: nothing,
  notice: nothing,
  connection: nothing,
  trace: nothing,
}
