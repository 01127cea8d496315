/** postfix status: what each service of each instance queries. */

import { inspect } from '../../postfix/inspect.ts'
import { defineCommand } from '../command.ts'
import { findingJson } from '../finding-text.ts'
import { postfixOptions } from '../options.ts'
import { postfixFor } from '../postfix-call.ts'
import { statusText } from '../postfix-text.ts'

export const postfixStatus = defineCommand({
  name: 'postfix status',
  group: 'postfix',
  summary: 'show which services query the daemon',
  more: `
    Shows for each service of each instance whether it queries the daemon. The exit status is 1 if
    mail from users may pass unchecked.
  `,
  json: `
    an array of {configDir, version, isRunning, ok, coverage, item, isRecorded, services, asksAt,
    findings, notes}.
  `,
  options: postfixOptions,
  async run({ json, 'config-dir': configDirs }, host) {
    const instances = await inspect(await postfixFor(host, configDirs))
    const shown = instances.map(one => ({ ...one, findings: one.findings.map(findingJson) }))
    host.out(
      json ? `${JSON.stringify(shown, undefined, 2)}\n` : instances.map(statusText).join('\n'),
    )
    return instances.every(({ ok }) => ok) ? 0 : 1
  },
})
