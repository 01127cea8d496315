/** alert test: does an alert reach you? */

import { defineCommand } from '../command.ts'
import { resultOf } from '../daemon-client.ts'
import { jsonText } from '../json-text.ts'
import { lineOf } from '../measure-text.ts'
import { json as jsonOption } from '../options.ts'
import { orderedBy } from '../ordered-by.ts'

export const alertTest = defineCommand({
  name: 'alert test',
  group: 'try',
  summary: 'send a test alert by mail, webhook and command, whichever is set',
  more: `
    Sends one alert at once to everybody who is told, except users, and shows what became of it. A
    mail was taken by Postfix if it is ok here; whether it arrives, your mailbox shows. Mail to root
    stays in /var/mail/root unless /etc/aliases has an address for it. The exit status is 1 if one of
    them has failed.
  `,
  json: '{tests}: each has name, to, outcome (done, later, refused) and why.',
  options: { json: jsonOption },
  async run({ json }, { daemon, env, out }) {
    const tests = resultOf(await daemon.alertTest({ by: orderedBy(env) }))
    if (json) out(jsonText({ tests }))
    else {
      for (const { name, to, outcome, why } of tests) {
        const whom = `${name}${to === '' ? '' : ` to ${to}`}`
        // Reasons of webhooks and commands begin with the same.
        const reason = why.startsWith(`${to}: `) ? why.slice(to.length + 2) : why
        const tail = reason === '' ? '' : `: ${reason}`
        out(lineOf(`${outcome === 'done' ? 'ok ' : 'BAD'} ${whom}${tail}`))
      }
      if (tests.length === 0) out('Nobody but users is told anything.\n')
    }
    return tests.every(({ outcome }) => outcome === 'done') ? 0 : 1
  },
})
