import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './fault.ts'

export const restart: Fault = {
  name: 'restart',
  mostDelay: 1200,
  async strike({ endAndAwaitNext }) {
    await endAndAwaitNext('SIGTERM')
    await sleep(1200)
  },
}
