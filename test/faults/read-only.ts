import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './fault.ts'
import { mountSmallDisk, remount, smallDiskMissing } from './small-disk.ts'

/** The daemon is killed and finds its state read-only; later it can be written again. */
export const readOnly: Fault = {
  name: 'state read-only',
  mostDelay: 1200,
  missing: smallDiskMissing,
  prepare: scene => mountSmallDisk(scene, '40m'),
  async strike({ state, pid, untilReady, status }) {
    process.kill(pid, 'SIGKILL')
    for (let tries = 0; ; tries++) {
      try {
        remount(state, 'ro')
        break
      } catch (error) {
        // It is busy as long as the old process has it open.
        if (tries > 50) throw error
        await sleep(2)
      }
    }
    await untilReady(2)
    await sleep(1500)
    said = await status()
    remount(state, 'rw')
    await sleep(1500)
  },
  async after({ status }) {
    if (!/counts are in memory only/.test(said)) return `status said ${said}`
    return /"state": "ok"/.test(await status()) ? undefined : 'the counts are not back on the disk'
  },
}

let said = ''
