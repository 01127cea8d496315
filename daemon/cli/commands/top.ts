/** top: who sends most. */

import { setTimeout as sleep } from 'node:timers/promises'
import { MOST_SENDERS, RANKINGS, type TopArguments } from '../../control/control.ts'
import type { TopSenders } from '../../control/protocol.ts'
import { readSince, SINCE } from '../../text/when.ts'
import { defineCommand, type ExitStatus, USAGE_ERROR } from '../command.ts'
import { NOT_RUNNING } from '../daemon-client.ts'
import type { Host } from '../host.ts'
import { isoTime, jsonText } from '../json-text.ts'
import { json as jsonOption } from '../options.ts'
import { HEAD_LINES, topLines } from '../top-text.ts'

const REFRESH_MILLISECONDS = 2000
const DEFAULT_LIMIT = 20
/** Below the table of --watch. */
const FOOT_LINES = 2

export const top = defineCommand({
  name: 'top',
  group: 'look',
  summary: 'show which accounts send most, or are refused most',
  more: `
    Shows who has sent most within the last 24 hours, with what was refused and where it came from:
    countries, the most used first, and the number of networks (/24, or /64 of IPv6). Accounts all
    of whose mail was refused come last; with --by refused, those that were stopped come first.
    Refused and deferred mail counts in refused only, once per attempt. The figures are those of
    whole hours, the hour of --since included. Mail without a login is one sender.

    With --watch the table is renewed every 2 seconds, as large as the terminal allows, until q or
    Ctrl-C; if the output is not a terminal, each table follows the previous one, and with --json
    each is one line.

    It needs the history, mtpolicyd/history/days, and a running daemon; otherwise the exit status
    is 1. For one account: mtpolicyctl user NAME.
  `,
  json: `
    {since, until, senders}: a sender has account (empty: mail without a login), messages,
    recipients, refused, countries and networks (their number).
  `,
  options: {
    since: {
      type: 'string',
      default: '24h',
      argument: 'TIME',
      doc: `Since when: ${SINCE}. Default: 24h.`,
    },
    by: {
      type: 'string',
      default: 'recipients',
      argument: 'WHAT',
      offers: RANKINGS,
      doc: 'The order: recipients (the default), messages or refused.',
    },
    limit: {
      type: 'number',
      argument: 'N',
      doc: `How many accounts, at most ${MOST_SENDERS}. Default: ${DEFAULT_LIMIT}.`,
    },
    watch: { type: 'boolean', doc: 'Renew the table every 2 seconds.' },
    json: jsonOption,
  },
  async run({ since, by, limit = DEFAULT_LIMIT, watch, json }, host) {
    const ranking = RANKINGS.find(one => one === by)
    if (!ranking) return wrong(host, `--by ${by}: expected ${RANKINGS.join(', ')}`)
    if (limit < 1 || limit > MOST_SENDERS) {
      return wrong(host, `--limit ${limit}: expected 1 to ${MOST_SENDERS}`)
    }
    if (readSince(since, host.clock.now()) === undefined) {
      return wrong(host, `--since ${since}: expected ${SINCE}`)
    }
    const look = async (most = limit): Promise<TopSenders> => {
      const now = host.clock.now()
      // A span such as 24h ends now, each time.
      return senders(host, { since: readSince(since, now) ?? now, by: ranking, most })
    }
    const show = async (): Promise<void> => {
      const found = await look()
      host.out(json ? topJson(found, watch ? 0 : 2) : `${topLines(found, ranking).join('\n')}\n`)
    }
    if (watch && host.screen && !json) {
      await host.screen.show(async ({ columns, rows }) => {
        const most = Math.max(1, Math.min(limit, rows - HEAD_LINES - FOOT_LINES))
        return [...topLines(await look(most), ranking, columns), '', 'q to end']
      }, REFRESH_MILLISECONDS)
      return 0
    }
    await show()
    while (watch) {
      await sleep(REFRESH_MILLISECONDS)
      if (!json) host.out('\n')
      await show()
    }
    return 0
  },
})

async function senders({ daemon }: Host, given: TopArguments): Promise<TopSenders> {
  const reply = await daemon.top(given)
  if (!reply) throw new Error(`the daemon is ${NOT_RUNNING}`)
  if (!reply.ok) throw new Error(reply.message)
  return reply.result
}

function wrong({ err }: Host, message: string): ExitStatus {
  err(`mtpolicyctl top: ${message}\nSee mtpolicyctl top --help.\n`)
  return USAGE_ERROR
}

function topJson({ since, until, senders }: TopSenders, indent: number): string {
  const members = senders.map(({ account, messages, recipients, refused, countries, networks }) => {
    return { account, messages, recipients, refused, countries, networks }
  })
  return jsonText({ since: isoTime(since), until: isoTime(until), senders: members }, indent)
}
