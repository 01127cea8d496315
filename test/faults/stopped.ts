import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './fault.ts'

/** Longer than Postfix waits: what it asks meanwhile it decides by itself. */
export const stopped: Fault = {
  name: 'SIGSTOP 30 s',
  // Two timeouts of 5 s and 1 s between them.
  mostDelay: 11_100,
  maySilence: 'Postfix gives up after two timeouts',
  async strike({ pid, isShort }) {
    process.kill(pid, 'SIGSTOP')
    await sleep(isShort ? 1000 : 30_000)
    process.kill(pid, 'SIGCONT')
  },
}
