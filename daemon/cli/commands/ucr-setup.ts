/** ucr setup: for the package's own scripts. */

import { defineCommand } from '../command.ts'
import { callUcr } from '../ucr-call.ts'

export const ucrSetup = defineCommand({
  name: 'ucr setup',
  group: 'package',
  summary: 'tell UCR about the variables of this package',
  more: `
    Registers the variables, their defaults and the hook by which ucr set takes effect. Does
    nothing on a host without UCR.
  `,
  run: (_values, host) => callUcr(host, 'register'),
})
