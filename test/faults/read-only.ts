import { setTimeout as sleep } from 'node:timers/promises'
import {
  makeReadOnly,
  makeWritable,
  mountSmallDisk,
  smallDiskMissing,
} from '../support/small-disk.ts'
import type { Fault } from './fault.ts'

/** The daemon is killed and finds its state read-only; later it can be written again. */
export const readOnly: Fault = {
  name: 'state read-only',
  mostDelay: 1200,
  missing: smallDiskMissing,
  prepare: scene => mountSmallDisk(scene, '40m'),
  async strike({ state, pid, untilReady, status }) {
    process.kill(pid, 'SIGKILL')
    await makeReadOnly(state)
    await untilReady(2)
    await sleep(1500)
    said = await status()
    makeWritable(state)
    await sleep(1500)
  },
  async after({ status }) {
    if (!/counting continues in a temporary copy/.test(said)) return `status said ${said}`
    return /"state": "ok"/.test(await status()) ? undefined : 'the counts are not back on the disk'
  },
}

let said = ''
