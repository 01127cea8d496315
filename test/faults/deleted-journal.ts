import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './fault.ts'

/** The write-ahead log is deleted under the daemon, which is killed a moment later. */
export const deletedJournal: Fault = {
  name: 'WAL deleted',
  mostDelay: 1200,
  mayLose: 'since the last hourly backup',
  async strike({ ledger, endAndAwaitNext }) {
    rmSync(`${ledger}-wal`)
    await sleep(2500)
    await endAndAwaitNext('SIGKILL')
    await sleep(1200)
  },
  after: async ({ logged }) =>
    (await logged(/was deleted or replaced/)) ? undefined : 'nobody noticed',
}
