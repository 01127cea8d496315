import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './fault.ts'

/** Nobody reads the log any more; what does not fit is dropped and counted. */
export const logPipe: Fault = {
  name: 'log pipe blocked',
  mostDelay: 50,
  async strike({ deafen, isShort }) {
    deafen(true)
    await sleep(isShort ? 500 : 3000)
    deafen(false)
  },
}
