/** suggest: limits that fit what accounts have sent. */

import { nameKey } from '../../registry/name-key.ts'
import { Sending } from '../../replay/sending.ts'
import { type Proposals, suggest as propose, SHORTEST_PERIOD } from '../../replay/suggestion.ts'
import { describeError } from '../../system/errors.ts'
import { readSince, SINCE } from '../../text/when.ts'
import { defineCommand, USAGE_ERROR } from '../command.ts'
import type { Host } from '../host.ts'
import { json as jsonOption } from '../options.ts'
import { PastRecords } from '../past-records.ts'
import { noDataText, suggestionText, tooShortText } from '../suggestion-text.ts'

const HISTORY_SINCE = '30d'

export const suggest = defineCommand({
  name: 'suggest',
  group: 'try',
  operands: '[FILE ...]',
  offers: 'files',
  summary: 'propose limits that fit what accounts have sent',
  more: `
    Looks at what each account has sent per calendar day and per hour of the clock, and proposes
    mtpolicyd/threshold and mtpolicyd/threshold/hour at round numbers, each with the accounts that
    it would have stopped, and numbers of their own for accounts that send much more than others
    again and again. Shows the commands that set them, and sets nothing.

    Without FILE it asks the history of the running daemon. FILE is a log of Postfix or a trace,
    as for replay. Less than a week does not show what is usual, so nothing is proposed from it. Any hour may have more than an hour of the clock: replay shows what a limit would
    have done exactly.
  `,
  json: `
    {since, until, accounts, proposals}: accounts is how many have sent mail; a proposal has
    variable, value and stopped, and there stand account, times (days or hours) and recipients.
  `,
  options: {
    since: {
      type: 'string',
      argument: 'TIME',
      doc: `Only what was sent since then, such as 7d or 2026-12-01. Default: 30d of the history,
        all of a file.`,
    },
    json: jsonOption,
  },
  async run({ since: given, json, operands }, host) {
    const now = host.clock.now()
    const hasFiles = operands.length > 0
    const since = readSince(given ?? HISTORY_SINCE, now)
    if (since === undefined) {
      host.err(
        `mtpolicyctl suggest: --since ${given}: expected ${SINCE}\n` +
          'See mtpolicyctl suggest --help.\n',
      )
      return USAGE_ERROR
    }
    const values = host.registry.open().values()
    const defaultDomain = values.get('mtpolicyd/defaultdomain') ?? ''
    const sending = new Sending(values.get('mtpolicyd/timezone') || undefined, defaultDomain)
    const from = hasFiles && given === undefined ? Number.NEGATIVE_INFINITY : since
    if (hasFiles) {
      if (!(await readFiles(host, operands, from, sending))) return 1
    } else {
      await readHistory(host, since, now, sending)
    }

    const { period, accounts } = sending
    const suggestion = propose(accounts, nameKey)
    const isEnough = period !== undefined && period.to - period.from >= SHORTEST_PERIOD
    if (json) {
      const known = period ?? { from: since, to: now }
      const all = isEnough && suggestion ? [suggestion.day, suggestion.hour] : []
      const proposals = all.flatMap(jsonOf)
      const [since_, until] = [known.from, known.to].map(at => new Date(at).toISOString())
      const text = { since: since_, until, accounts: accounts.length, proposals }
      host.out(`${JSON.stringify(text, undefined, 2)}\n`)
      return 0
    }
    if (!period || !suggestion) host.out(noDataText(hasFiles))
    else if (!isEnough) host.out(tooShortText(period, accounts.length))
    else {
      const inForce = (name: string): string => values.get(name) || 'unlimited'
      const source = hasFiles ? operands.join(' ') : undefined
      host.out(suggestionText({ period, accounts: accounts.length, suggestion, inForce, source }))
    }
    return 0
  },
})

function jsonOf({ all, own }: Proposals) {
  return [...all, ...own].map(({ variable, value, stopped }) => ({ variable, value, stopped }))
}

async function readHistory(
  { daemon }: Host,
  since: number,
  until: number,
  sending: Sending,
): Promise<void> {
  try {
    for await (const portion of daemon.hours({ since, until })) {
      for (const one of portion) sending.addHour(one)
    }
  } catch (error) {
    const hint = 'name a log of Postfix instead, such as /var/log/mail.log'
    throw new Error(`${describeError(error)}; ${hint}`, { cause: error })
  }
}

/** False if nothing was readable. */
async function readFiles(
  host: Host,
  names: readonly string[],
  since: number,
  sending: Sending,
): Promise<boolean> {
  const past = await PastRecords.open(host, names)
  for await (const portion of past.records) {
    for (const record of portion) if (record.t >= since) sending.add(record)
    past.progress.requests += portion.length
    past.progress.show()
  }
  return past.end()
}
