/** web login: a link that logs in to the console. */

import { defineCommand } from '../command.ts'
import { json } from '../options.ts'
import { role, showLink } from '../web-call.ts'

export const webLogin = defineCommand({
  name: 'web login',
  group: 'web',
  summary: 'print a link that logs in to the web console, once',
  more: `
    The link is valid for ten minutes and for one login; a restart of the daemon ends it sooner. What is
    behind the # of the address is sent to no proxy and written to no log. The login ends after two
    hours without use, and after twelve in any case. What is ordered with it is noted under your name.
  `,
  json: '{url, minutes}: the link, and how long it is valid.',
  options: { role: { ...role, default: 'change' }, json },
  run: (values, host) => showLink(host, values),
})
