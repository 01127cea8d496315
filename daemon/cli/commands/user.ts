/** user: all that is known of an account. */

import type { AccountReport } from '../../control/protocol.ts'
import type { Refusal, Seen, SeenMessage } from '../../policy/ports/history.ts'
import { printable } from '../../text/columns.ts'
import { defineCommand, USAGE_ERROR } from '../command.ts'
import { NOT_RUNNING } from '../daemon-client.ts'
import { isoTime, jsonText } from '../json-text.ts'
import { json as jsonOption } from '../options.ts'
import { accountsMeant, isUnknown } from '../unknown-account.ts'
import { userText } from '../user-text.ts'

export const user = defineCommand({
  name: 'user',
  group: 'look',
  operands: 'NAME',
  offers: 'accounts',
  summary: 'show what an account has used, sent and been refused',
  more: `
    Says first whether the account can send now. Then come the measures in force; what it has used
    of each limit, its own or the one it shares with its domain or the server; what was refused,
    with the codes for mtpolicyctl why; countries and networks it was seen in, and its last
    messages. A calendar window shows when it ends, a rolling one when it has room again.

    NAME is the whole login name. Case does not matter, nor does mtpolicyd/defaultdomain. An account
    that has never sent has its limits, too, so the exit status is 0 for any name; it is 1 if no
    daemon runs. If the history is off (mtpolicyd/history/days), only limits and measures are
    known.
  `,
  json: `
    {account, limits, countries, networks, messages, refusals, measures}: a limit has name, unit,
    window, used, limit (a number, or "unlimited") and again (null: there is room, or never will
    be); used and limit are null if they cannot be read, with the reason on standard error.
  `,
  options: {
    all: { type: 'boolean', doc: 'Show everything, not only what fits a screen.' },
    json: jsonOption,
  },
  async run({ json, all, operands: [name = ''] }, { daemon, out, err }) {
    if (name.trim() === '') {
      err('mtpolicyctl user: expected the name of an account\nSee mtpolicyctl user --help.\n')
      return USAGE_ERROR
    }
    const reply = await daemon.user({ name })
    if (!reply) throw new Error(`the daemon is ${NOT_RUNNING}`)
    if (!reply.ok) throw new Error(reply.message)
    const report = reply.result
    if (json) out(userJson(report))
    else {
      const meant = isUnknown(report) ? await accountsMeant(daemon, report.account) : []
      out(userText(report, all, meant))
    }
    if (json) for (const line of problemsOf(report)) err(`mtpolicyctl user: ${printable(line)}\n`)
    return 0
  },
})

function userJson(report: AccountReport): string {
  const { account, limits, countries, networks, messages, refusals, measures } = report
  return jsonText({
    account,
    limits: limits.map(({ name, unit, window, used, limit, again }) => {
      return { name, unit, window, used, limit, again: again === null ? null : isoTime(again) }
    }),
    countries: countries.map(seenJson),
    networks: networks.map(seenJson),
    messages: messages.map(timed),
    refusals: refusals.map(timed),
    measures: measures.map(({ account, kind, value, until, by, why }) => {
      return { account, kind, value, until, by, why }
    }),
  })
}

function seenJson({ name, first, last, messages }: Seen) {
  return { name, first: isoTime(first), last: isoTime(last), messages }
}

function timed<T extends SeenMessage | Refusal>(one: T) {
  return { ...one, at: isoTime(one.at) }
}

function problemsOf({ limits, history }: AccountReport): string[] {
  const ofLimits = limits.flatMap(({ name, problem }) =>
    problem === undefined ? [] : [`limit ${name}: ${problem}`],
  )
  return history.state === 'failed' ? [...ofLimits, `history: ${history.problem}`] : ofLimits
}
