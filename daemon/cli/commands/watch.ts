/** watch: verdicts as they are given. */

import { logfmtFields } from '../../log/logfmt.ts'
import { defineCommand } from '../command.ts'
import { json as jsonOption } from '../options.ts'

export const watch = defineCommand({
  name: 'watch',
  group: 'look',
  summary: 'show verdicts as they are given',
  more: `
    Prints a line for each request that the running daemon answers from now on, until it is
    interrupted: its fields are those of the log (mtpolicyd(8)), whatever the log level. If the
    reader cannot keep up, the daemon disconnects it; mail never waits for it.
  `,
  json: '{instance, user, client, ...}: one object per line, with the fields of the log.',
  options: {
    user: {
      type: 'string',
      argument: 'NAME',
      offers: 'accounts',
      doc: 'Only mail of this account.',
    },
    client: { type: 'string', argument: 'ADDRESS', doc: 'Only mail from this address.' },
    json: jsonOption,
  },
  async run({ user, client, json }, { daemon, out }) {
    for await (const verdict of daemon.watch({ user, client })) {
      out(json ? `${JSON.stringify(verdict)}\n` : `${logfmtFields(verdict)}\n`)
    }
    return 0
  },
})
