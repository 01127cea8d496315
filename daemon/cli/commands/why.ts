/** why: a refusal or deferral that has happened, and the decision behind it. */

import type { WhyAnswer } from '../../control/protocol.ts'
import { type FurtherRuling, furtherRulings } from '../../diagnosis/further-rulings.ts'
import { rulingOf } from '../../diagnosis/remedies.ts'
import { readDecisionCode } from '../../policy/decision-code.ts'
import type { Refusal, RefusalKey } from '../../policy/ports/history.ts'
import type { Values } from '../../registry/layers.ts'
import { printable } from '../../text/columns.ts'
import { defineCommand, type ExitStatus, USAGE_ERROR } from '../command.ts'
import { NOT_RUNNING } from '../daemon-client.ts'
import type { Host } from '../host.ts'
import { isoTime, jsonText } from '../json-text.ts'
import { json as jsonOption } from '../options.ts'
import { refusalText } from '../refusal-text.ts'

export const why = defineCommand({
  name: 'why',
  group: 'look',
  operands: '[CODE]',
  offers: 'codes',
  summary: 'show why a mail was refused, and what would let it pass',
  more: `
    Every mail that is refused or deferred gets an answer that ends with a short code, such as
    (K3F-9QT), if a history is kept (mtpolicyd/history/days). The sender sees it, and the mail log
    has it. This shows that very decision: when and to whom, what Postfix was told, the rule and
    where it stands, what was used of a limit before or found by a lookup, what would let such mail pass and the command
    for it, each plugin's step, and the request.

    CODE may be typed in any case, with or without hyphen and parentheses. Of a message with several
    refusals, as when several of its recipients are refused, the latest is shown whole and each of
    the others in a line.

    The exit status is 1 if no such refusal is known, or if no daemon runs.
  `,
  json: `
    {code, at, account, country, recipients, bytes, host, action, by, why, facts, attributes, steps,
    rule, place, found, remedies, further, others}: a step has plugin, module, saw
    (what it has found out), outcome ("nothing", or "action: ", "failed: " or "skipped: " and a
    text) and place; steps is missing if they were not noted; place is a host variable or FILE:LINE;
    found is what a lookup has found (which list, SPF result and mechanism, until when greylisting
    lasts, the score), or empty;
    a remedy has text and command; further is what would refuse such mail next, as the account
    stands now: rule, place and remedies, and used and limit of a limit; others are the other refusals of the message: code, at,
    recipient and action.
  `,
  options: {
    'queue-id': {
      type: 'string',
      argument: 'ID',
      doc: "The refusals of the message with this queue ID in Postfix's log.",
    },
    message: {
      type: 'string',
      argument: 'INSTANCE',
      doc: 'The refusals of this message, as `instance` in the log of the daemon names it.',
    },
    json: jsonOption,
  },
  async run({ json, message, 'queue-id': queueId, operands: [code] }, host) {
    const key = keyOf(host, code, queueId, message)
    if (typeof key === 'number') return key
    const reply = await host.daemon.why(key)
    if (!reply) throw new Error(`the daemon is ${NOT_RUNNING}`)
    if (!reply.ok) throw new Error(reply.message)
    const { refusal, others, days } = reply.result
    if (!refusal) {
      host.err(`mtpolicyctl why: no refusal ${nameOf(key)} is known\n${keptFor(days)}\n`)
      return 1
    }
    const values = host.registry.open().values()
    const ruling = rulingOf(refusal, reply.result, values)
    const further = await furtherOf(host, refusal, reply.result, values)
    host.out(
      json
        ? jsonText({ ...timed(refusal), ...ruling, further, others: others.map(timed) })
        : refusalText(refusal, { ...ruling, further }, others, variable => values.get(variable)),
    )
    return 0
  },
})

/** What else stands in the way. Mail of nobody has no account, and a daemon that has just ended tells nothing. */
async function furtherOf(
  host: Host,
  refusal: Refusal,
  answer: WhyAnswer,
  values: Values,
): Promise<readonly FurtherRuling[]> {
  if (refusal.account === '') return []
  const reply = await host.daemon.user({ name: refusal.account })
  return reply?.ok ? furtherRulings(refusal, answer, reply.result, values) : []
}

/** What is asked for, or the exit status if that is not one thing. */
function keyOf(
  host: Host,
  code: string | undefined,
  queueId: string | undefined,
  instance: string | undefined,
): RefusalKey | ExitStatus {
  const given = [code, queueId, instance].filter(one => one !== undefined)
  if (given.length !== 1 || given[0] === '') {
    return wrong(
      host,
      'expected a CODE, or one of --queue-id and --message;\nmtpolicyctl user NAME lists the codes of an account',
    )
  }
  if (queueId !== undefined) return { queueId }
  if (instance !== undefined) return { instance }
  const read = readDecisionCode(code ?? '')
  if (read !== undefined) return { code: read }
  return wrong(
    host,
    `expected a code such as K3F-9QT, which has no 0, 1, I, L and O; found "${printable(code ?? '')}"`,
  )
}

function nameOf(key: RefusalKey): string {
  if ('code' in key) return key.code
  return printable('queueId' in key ? `of queue ID ${key.queueId}` : `of message ${key.instance}`)
}

function keptFor(days: number): string {
  return `Refusals are kept for ${days === 1 ? 'a day' : `${days} days`}, the last 200,000 at most.`
}

function timed<T extends { readonly at: number }>(one: T) {
  return { ...one, at: isoTime(one.at) }
}

function wrong({ err }: Host, message: string): ExitStatus {
  err(`mtpolicyctl why: ${message}\nSee mtpolicyctl why --help.\n`)
  return USAGE_ERROR
}
