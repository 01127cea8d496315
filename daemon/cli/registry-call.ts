/**
 * One call of a registry command: what it may touch, and what was asked.
 */

import type { CommitOptions } from '../registry/commit.ts'
import type { Registry } from '../registry/registry.ts'
import type { CommandRunner } from '../registry/ucr.ts'
import type { Variable } from '../registry/variables.ts'

/** Everything the commands touch outside of themselves. */
export interface RegistryIo {
  readonly root: string
  readonly env: NodeJS.ProcessEnv
  /** The directory of templates/. */
  readonly templates: string
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  readonly check: CommitOptions['check']
  readonly reload: CommitOptions['reload']
  readonly declarations?: readonly Variable[]
  readonly now?: () => Date
  readonly run?: CommandRunner
}

/** What stands before the action. */
export interface Filters {
  readonly shell: boolean
  readonly keysOnly: boolean
  readonly json: boolean
}

export interface Call {
  readonly registry: Registry
  readonly io: RegistryIo
  readonly filters: Filters
  readonly options: ReadonlyMap<string, string>
  readonly args: readonly string[]
}
