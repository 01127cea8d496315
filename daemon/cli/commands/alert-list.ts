/** alert list: what was told of late, and what still holds. */

import { MOST_ALERTS } from '../../control/control.ts'
import { languageOf } from '../../policy/finding.ts'
import { alertJson, alertText } from '../alert-text.ts'
import { defineCommand } from '../command.ts'
import { resultOf } from '../daemon-client.ts'
import { jsonText } from '../json-text.ts'
import { json as jsonOption } from '../options.ts'

export const alertList = defineCommand({
  name: 'alert list',
  group: 'look',
  summary: 'list what you were told: accounts at their limit, refused countries, trouble',
  more: `
    Shows the last alerts, the newest first: when, what, and who has not got it yet. An alert comes
    once when something becomes true, and once when it does not hold any more. With --now it shows
    what holds at present instead. Who is told: mtpolicyctl search mtpolicyd/alert/
  `,
  json: `
    {alerts}: each has id, at, state (raised, cleared), kind, severity, account, what, why, remedy,
    facts and waitsFor.
  `,
  options: {
    now: { type: 'boolean', doc: 'Show what holds at present.' },
    json: jsonOption,
  },
  async run({ now, json }, { daemon, env, out }) {
    const { state, alerts, inForce } = resultOf(await daemon.alerts({ most: MOST_ALERTS }))
    const shown = now ? inForce.map(one => ({ ...one, waitsFor: [] })) : alerts
    if (json) out(jsonText({ alerts: shown.map(alertJson) }))
    else if (shown.length > 0) {
      const language = languageOf(env)
      out(shown.map(one => alertText(one, language)).join(''))
    } else if (state === 'off') out('Alerts are off: mtpolicyctl set mtpolicyd/alert/mail=root\n')
    else out(now ? 'All is in order.\n' : 'There was no alert yet.\n')
    return 0
  },
})
