/** What this host's files, clock and disk say. Read here, judged in host-findings.ts. */

import { readFileSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Paths } from '../assembly/paths.ts'
import type { Problem } from '../policy/problem.ts'
import { isGenerated } from '../registry/template-files.ts'

export interface HostFacts {
  /** Milliseconds since 1970, by the host's clock. */
  readonly now: number
  /** The latest change of a file that cannot be newer than now. */
  readonly latestChange: number
  readonly stateFolder: string
  /** Bytes where the counts are; undefined if that cannot be told. */
  readonly disk: { readonly free: number; readonly all: number } | undefined
  /** The configuration on disk, if it was written by hand. */
  readonly handWritten: string | undefined
  /** What is wrong with the configuration on disk. */
  readonly problems: readonly Problem[]
}

export function hostFacts(paths: Paths, now: number, problems: readonly Problem[]): HostFacts {
  const files = [paths.templates, paths.state, join(paths.state, 'ledger.sqlite')]
  return {
    now,
    latestChange: Math.max(0, ...files.flatMap(timeOf)),
    stateFolder: paths.state,
    disk: diskOf(paths.state),
    handWritten: isHandWritten(paths.config) ? paths.config : undefined,
    problems,
  }
}

function isHandWritten(file: string): boolean {
  try {
    return !isGenerated(readFileSync(file, 'utf8'))
  } catch {
    return false
  }
}

function timeOf(path: string): number[] {
  try {
    return [statSync(path).mtimeMs]
  } catch {
    return []
  }
}

function diskOf(folder: string): HostFacts['disk'] {
  try {
    const { bavail, blocks, bsize } = statfsSync(folder)
    return { free: bavail * bsize, all: blocks * bsize }
  } catch {
    return undefined
  }
}
