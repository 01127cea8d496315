import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../support/policy-client.ts'
import type { Fault } from './fault.ts'

/** Files of the state are deleted under the daemon, which is killed a moment later. */
function deleted(name: string, pattern: RegExp): Fault {
  return {
    name,
    mostDelay: 1200,
    async strike({ state, endAndAwaitNext }) {
      const files = (): string[] => readdirSync(state).filter(file => pattern.test(file))
      // It is there with the first count.
      await until(() => files().length > 0)
      for (const file of files()) rmSync(join(state, file))
      // Noticed within a second.
      await sleep(2500)
      await endAndAwaitNext('SIGKILL')
      await sleep(1200)
    },
    after: async ({ logged }) =>
      (await logged(/was deleted or replaced/)) ? undefined : 'nobody noticed',
  }
}

export const deletedWal = deleted('WAL deleted', /-wal$/)
export const deletedJournal = deleted('journal deleted', /\.journal-/)
