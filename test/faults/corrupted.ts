import { closeSync, openSync, statSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './fault.ts'

/** Everything but the first page is overwritten, and the daemon is started anew. */
export const corrupted: Fault = {
  name: 'database corrupted',
  mostDelay: 1200,
  mayLose: 'since the last hourly backup',
  async strike({ ledger, endAndAwaitNext }) {
    // So that the file, and not only its journal, has something in it.
    await endAndAwaitNext('SIGTERM')
    await sleep(1200)
    const size = statSync(ledger).size
    const fd = openSync(ledger, 'r+')
    writeSync(fd, Buffer.alloc(Math.max(0, size - 4096), 0x5a), 0, Math.max(0, size - 4096), 4096)
    closeSync(fd)
    await endAndAwaitNext('SIGKILL')
    await sleep(2500)
  },
  async after({ status }) {
    const said = await status()
    return /the ledger was damaged .*ledger\.sqlite\.damaged-/.test(said)
      ? undefined
      : `status said ${said}`
  },
}
