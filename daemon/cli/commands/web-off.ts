/** web off: ends the console in a browser. */

import { defineCommand } from '../command.ts'
import { setPort } from '../web-call.ts'

export const webOff = defineCommand({
  name: 'web off',
  group: 'web',
  summary: 'stop the web console',
  more: `
    Unsets mtpolicyd/web/port: nothing listens there any more, and /metrics ends as well. All logins
    end, so off and on again logs everybody out. Tokens stay, for the next time.
  `,
  async run(_, host) {
    const status = await setPort(host, undefined)
    if (status === 0) host.out('The web console is off.\n')
    return status
  },
})
