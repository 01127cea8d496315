/** Requests of the past and configurations on trial, on this host. Loaded by the commands that need them. */

import { readFileSync } from 'node:fs'
import type { Paths } from '../assembly/paths.ts'
import { formatNotice, type Notice } from '../policy/problem.ts'
import { openRegistry } from '../registry/registry.ts'
import { asDaemon } from '../system/daemon-user.ts'
import type { PastAccess } from './host.ts'

export function pastAccess(paths: Paths): PastAccess {
  return {
    async files(names) {
      const { logFiles } = await import('../replay/rotation.ts')
      return logFiles(names, Date.now())
    },
    async *records(options) {
      const { readRecords } = await import('../replay/read-records.ts')
      yield* readRecords(options)
    },
    async trial(what, clock) {
      const { openTrial, UntriableConfiguration } = await import('../replay/trial.ts')
      const { file, text, problems } =
        typeof what === 'string'
          ? // A draft may be for root alone.
            { file: what, text: readFileSync(what, 'utf8'), problems: [] }
          : await candidate(paths, what)
      if (text === undefined) return { trial: undefined, notices: problems.map(formatNotice) }
      try {
        const options = { file, text, paths, clock }
        const trial = await asDaemon(paths.root, () => openTrial(options))
        const errors = trial.problems.filter(({ severity }) => severity !== 'warning')
        return { trial, notices: errors.map(formatNotice) }
      } catch (error) {
        if (!(error instanceof UntriableConfiguration)) throw error
        return { trial: undefined, notices: error.problems.map(formatNotice) }
      }
    },
  }
}

async function candidate(paths: Paths, changes: ReadonlyMap<string, string>) {
  const { candidateConfiguration } = await import('../registry/candidate.ts')
  const registry = openRegistry({ root: paths.root, env: process.env })
  const found = candidateConfiguration(registry, paths.templates, changes)
  if (found.origin === 'variables' || changes.size === 0) return found
  const message = `${found.file} was written by hand, so variables have no effect; try a changed copy with --config`
  const problems: readonly Notice[] = [{ severity: 'error', message }]
  return { ...found, text: undefined, problems }
}
