import { setTimeout as sleep } from 'node:timers/promises'
import { fill, mountSmallDisk, smallDiskMissing } from '../support/small-disk.ts'
import type { Fault } from './fault.ts'

export const fullDisk: Fault = {
  name: 'disk full',
  mostDelay: 50,
  missing: smallDiskMissing,
  prepare: scene => mountSmallDisk(scene, '40m'),
  async strike({ state, status, isShort }) {
    const empty = fill(state)
    await sleep(isShort ? 300 : 2000)
    said = await status()
    empty()
    await sleep(300)
  },
  async after({ status }) {
    if (!/cannot write the ledger \(.*no space left on device/.test(said))
      return `status said ${said}`
    return /"state": "ok"/.test(await status()) ? undefined : 'the counts are not back on the disk'
  },
}

let said = ''
