import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Fault } from './fault.ts'

export const badReload: Fault = {
  name: 'bad configuration at reload',
  mostDelay: 50,
  async strike({ root, pid, logged }) {
    const folder = join(root, 'etc/univention-mtpolicyd')
    appendFileSync(join(folder, 'mtpolicyd.conf'), '\n<VirtualHost 1>\n')
    process.kill(pid, 'SIGHUP')
    await logged(/reload refused/)
  },
  after: async ({ logged }) =>
    (await logged(/reload refused, the old configuration stays/)) ? undefined : 'nothing was said',
}
