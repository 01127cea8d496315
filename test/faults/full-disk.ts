import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './fault.ts'
import { mountSmallDisk, smallDiskMissing } from './small-disk.ts'

export const fullDisk: Fault = {
  name: 'disk full',
  mostDelay: 50,
  missing: smallDiskMissing,
  prepare: scene => mountSmallDisk(scene, '40m'),
  async strike({ state, status, isShort }) {
    const filler = join(state, 'filler')
    const fd = openSync(filler, 'w')
    const block = Buffer.alloc(4096)
    try {
      for (;;) writeSync(fd, block)
    } catch {
      // That was the last block.
    }
    closeSync(fd)
    await sleep(isShort ? 300 : 2000)
    said = await status()
    rmSync(filler)
    await sleep(300)
  },
  async after({ status }) {
    if (!/counts are in memory only: .*no space left on device/.test(said))
      return `status said ${said}`
    return /"state": "ok"/.test(await status()) ? undefined : 'the counts are not back on the disk'
  },
}

let said = ''
