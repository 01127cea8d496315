import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './fault.ts'

export const kill: Fault = {
  name: 'kill -9',
  mostDelay: 1200,
  async strike({ endAndAwaitNext, isShort }) {
    for (let time = 0; time < (isShort ? 1 : 3); time++) {
      await endAndAwaitNext('SIGKILL')
      await sleep(1200)
    }
  },
}
