/** ucr remove: for the package's own scripts. */

import { defineCommand } from '../command.ts'
import { callUcr } from '../ucr-call.ts'

export const ucrRemove = defineCommand({
  name: 'ucr remove',
  group: 'package',
  summary: 'remove that hook from UCR',
  more: 'Runs before the package is removed. Does nothing on a host without UCR.',
  run: (_values, host) => callUcr(host, 'unregister'),
})
