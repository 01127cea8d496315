/**
 * postfix follow: for hooks. The daemon's endpoint has changed, or these variables of Postfix's
 * lists were just set in UCR. Prints something only if it changed something.
 */

import { follow } from '../../postfix/registration/register.ts'
import type { RegistrationResult } from '../../postfix/registration/registration.ts'
import { defineCommand } from '../command.ts'
import { postfixOptions } from '../options.ts'
import { postfixFor, RESULTS_JSON, showResults } from '../postfix-call.ts'

export const postfixFollow = defineCommand({
  name: 'postfix follow',
  group: 'package',
  operands: '[KEY ...]',
  summary: 'adapt the item in Postfix to a change',
  more: `
    Adapts the item in Postfix after the host or port of the daemon, or these UCR variables, have
    changed. Where nothing is registered it does nothing and prints nothing.
  `,
  json: RESULTS_JSON,
  options: postfixOptions,
  async run({ json, 'config-dir': configDirs, operands }, host) {
    const results = await follow(await postfixFor(host, configDirs), operands)
    return showResults(host, results.filter(isNews), json)
  },
})

/** A hook runs often; where nothing had to be done nothing is printed. */
function isNews({ outcome, reasons }: RegistrationResult): boolean {
  return !['already', 'nothing', 'no-postfix'].includes(outcome) || reasons.length > 0
}
