/** reload: has the running daemon read its configuration again. */

import { setTimeout as sleep } from 'node:timers/promises'
import { defineCommand } from '../command.ts'
import { json as jsonOption } from '../options.ts'

/** How long a daemon may take from its exec to its control socket. */
const START_MILLISECONDS = 1500
const PAUSE_MILLISECONDS = 50

export const reload = defineCommand({
  name: 'reload',
  group: 'variables',
  summary: 'apply a changed configuration',
  more: `
    Makes the daemon read its configuration again. Needed after editing a file by hand; set and
    unset do this automatically. Open connections are kept. A configuration with a fatal mistake is
    not applied: the old one stays in use.
  `,
  json: '{ok, messages}: what the daemon reports about the new configuration, one string per line.',
  options: { json: jsonOption },
  async run({ json }, { daemon, clock, out, err }) {
    const deadline = clock.now() + START_MILLISECONDS
    let reply = await daemon.reload()
    // One that was started just now is about to be there.
    while (!reply && clock.now() < deadline) {
      await sleep(PAUSE_MILLISECONDS)
      reply = await daemon.reload()
    }
    const isOk = reply?.ok === true
    if (json) {
      const messages = reply?.ok ? reply.result : [reply?.message ?? 'no daemon is running']
      out(`${JSON.stringify({ ok: isOk, messages }, undefined, 2)}\n`)
    } else if (!reply) err('mtpolicyctl: no daemon is running\n')
    else if (!reply.ok) err(`${reply.message}\nThe old configuration stays in use.\n`)
    else {
      err(reply.result.map(line => `${line}\n`).join(''))
      out('reloaded\n')
    }
    return isOk ? 0 : 1
  },
})
