import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { askPort } from '../support/daemon.ts'
import type { Fault } from './fault.ts'

const LEAK = `const kept = []
export default api => api.definePlugin({
  name: 'Leak', summary: 'Fills the memory.', settings: {},
  create: () => request => {
    if (request.text('sender') !== 'leak') return undefined
    // Of arrays without anything in them: what is measured is the end of the process, not the way to it.
    for (;;) kept.push(new Array(300_000))
  },
})`

/** A plugin eats all there may be, and the process dies of it. */
export const memoryLimit: Fault = {
  name: 'memory limit reached',
  mostDelay: 1200,
  env: { NODE_OPTIONS: '--max-old-space-size=20' },
  prepare({ root }) {
    const folder = join(root, 'etc/univention-mtpolicyd/plugins')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'leak.js'), LEAK)
  },
  config: ({ port }) => `port = ${port}
log_level = 1
<VirtualHost ${port}>
  name = mail
  <Plugin leak>
    module = Leak
  </Plugin>
  <Plugin limit>
    module = SendingLimit
    threshold = 1000000
  </Plugin>
</VirtualHost>
`,
  async strike({ port, untilReady }) {
    await askPort(port, { sender: 'leak' }).catch(() => undefined)
    await untilReady(2)
    await sleep(1200)
  },
}
