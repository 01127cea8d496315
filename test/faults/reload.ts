import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './fault.ts'

export const badReload: Fault = {
  name: 'bad configuration at reload',
  mostDelay: 50,
  strike({ root, pid }) {
    const file = join(root, 'etc/univention-mtpolicyd/mtpolicyd.conf')
    appendFileSync(file, '\n<VirtualHost 1>\n')
    process.kill(pid, 'SIGHUP')
  },
  after: async ({ logged }) =>
    (await logged(/reload refused, the old configuration stays/)) ? undefined : 'nothing was said',
}

export const hundredReloads: Fault = {
  name: 'reload 100 times under load',
  mostDelay: 50,
  async strike({ pid, isShort }) {
    for (let time = 0; time < (isShort ? 10 : 100); time++) {
      process.kill(pid, 'SIGHUP')
      await sleep(50)
    }
  },
}
