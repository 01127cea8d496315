/** replay: what requests of the past would have been answered. */

import type { Recorded } from '../../replay/record.ts'
import { holds, Refusals } from '../../replay/refusals.ts'
import { replay as pass } from '../../replay/replay.ts'
import { ReplayClock } from '../../replay/replay-clock.ts'
import { Sending } from '../../replay/sending.ts'
import type { Trial, TrialAnswer } from '../../replay/trial.ts'
import { type Assigned, readAssignments } from '../assignments.ts'
import { defineCommand, type ExitStatus, USAGE_ERROR } from '../command.ts'
import type { Host } from '../host.ts'
import { timeText } from '../number-text.ts'
import { json as jsonOption } from '../options.ts'
import { PastRecords } from '../past-records.ts'
import { type Replayed, replayText } from '../replay-text.ts'

/** Lines are written together: each write is a system call. */
const MOST_TEXT_CHARACTERS = 64 * 1024

export const replay = defineCommand({
  name: 'replay',
  group: 'try',
  operands: 'FILE ...',
  offers: 'files',
  summary: 'show what another setting would have done to the mail of the past',
  more: `
    Puts recorded requests, at their times, through the configuration in use, or through another
    one: --set changes variables, --config takes another file. Counts begin at 0 and are kept in
    memory. Nothing is counted, changed or sent anywhere, and no daemon is needed. Plugins that
    need DNS or a server are skipped, and listed at the end.

    FILE is Postfix's log, which may be compressed, or a trace; - is standard input. A log that is
    named alone stands for its rotated files as well (mail.log.1, mail.log.2.gz); of several files
    only those are read, the oldest first. From a log, each accepted message of a user who had
    logged in is a request at the end of the message. Mail that was refused is not in it. Recipients
    are counted after aliases. What goes through a filter before the queue (smtpd_proxy_filter) is
    its user's if the filter passes on the answer with the queue ID. Messages that are left out
    are numbered.

    Where Postfix logs to the journal only: journalctl -u 'postfix*' | mtpolicyctl replay -
    Read are logs of syslog, rsyslog and syslog-ng, what journalctl prints with -o short, any other
    short form that has the date, or json, and what docker, kubectl or logcli print, or a collector
    saves as a line of JSON for each line. Times without a zone are those of this host:
    TZ=UTC mtpolicyctl replay FILE takes them for UTC.

    A trace has a line of JSON for each request, in the order of their times:
    {"t": MILLISECONDS SINCE 1970, "conn": "NAME", "request": {ATTRIBUTE: VALUE, ...}}.

    Shows who would have been refused, since when, by which plugin, and how many recipients, and
    who sent most, also where nothing would have been refused. With
    --compare the same requests are answered by two configurations, one of which has those
    values as well. A damaged line is named and skipped. The exit status is 1 only if nothing
    could be read, or if the configuration cannot be used.
  `,
  json: `
    {t, conn, instance, protocol_state, sasl_username, action, by, code}: one object per line and
    request; action is close where the connection would be closed without an answer. With
    --compare: only requests that are answered differently, with the other answer as compared,
    {action, by, code}.
  `,
  options: {
    set: {
      type: 'string',
      multiple: true,
      argument: 'NAME=VALUE',
      offers: 'assignments',
      doc: 'Try this value of a variable. Repeatable.',
    },
    config: {
      type: 'string',
      argument: 'FILE',
      offers: 'files',
      doc: 'Try this configuration instead of the one in use.',
    },
    compare: {
      type: 'string',
      multiple: true,
      argument: 'NAME=VALUE',
      offers: 'assignments',
      doc: 'Compare with a configuration that has this value as well. Repeatable.',
    },
    json: jsonOption,
  },
  async run({ set = [], config, compare = [], json, operands }, host) {
    if (config !== undefined && set.length + compare.length > 0) {
      host.err(
        'mtpolicyctl replay: --config has no variables; it excludes --set and --compare\n' +
          'See mtpolicyctl replay --help.\n',
      )
      return USAGE_ERROR
    }
    const changes = readAssignments(host, set)
    if (typeof changes === 'number') return changes
    const more = readAssignments(host, compare)
    if (typeof more === 'number') return more

    const clock = new ReplayClock()
    const trials: Trial[] = []
    try {
      const first = await openTrial(host, config, changes, clock)
      if (!first) return 1
      trials.push(first)
      if (more.size > 0) {
        const second = await openTrial(host, undefined, new Map([...changes, ...more]), clock)
        if (!second) return 1
        trials.push(second)
      }
      return await run(host, operands, trials, clock, json, { set, config, compare })
    } finally {
      for (const trial of trials) trial.close()
    }
  },
})

/** Undefined if it cannot be used, which is reported. */
async function openTrial(
  host: Host,
  file: string | undefined,
  changes: Assigned,
  clock: ReplayClock,
): Promise<Trial | undefined> {
  const { trial, notices } = await host.past.trial(file ?? changes, clock)
  for (const notice of notices) host.err(`${notice}\n`)
  return trial
}

type Tried = Pick<Replayed, 'set' | 'config' | 'compare'>

async function run(
  host: Host,
  names: readonly string[],
  trials: readonly Trial[],
  clock: ReplayClock,
  isJson: boolean,
  tried: Tried,
): Promise<ExitStatus> {
  const past = await PastRecords.open(host, names)
  const { progress } = past
  const refusals = trials.map(() => new Refusals())
  const held = trials.map(() => new Refusals(holds))
  const values = host.registry.open().values()
  const timezone = values.get('mtpolicyd/timezone') || undefined
  const sending = isJson
    ? undefined
    : new Sending(timezone, values.get('mtpolicyd/defaultdomain') ?? '')
  let from = Number.POSITIVE_INFINITY
  let to = Number.NEGATIVE_INFINITY
  let differing = 0
  let text = ''
  await pass({
    records: past.records,
    trials,
    clock,
    answered(record, answers) {
      progress.requests++
      sending?.add(record)
      from = Math.min(from, record.t)
      to = Math.max(to, record.t)
      const [answer, other] = answers
      if (!answer) return
      const differs = other !== undefined && verbOf(other) !== verbOf(answer)
      if (differs) differing++
      if (isJson) {
        if (other === undefined || differs) text += jsonLine(record, answer, other)
      } else {
        for (const [at, one] of answers.entries()) {
          if (!refusals[at]?.note(record, one)) held[at]?.note(record, one)
        }
      }
    },
    async paused() {
      progress.show()
      if (text.length < MOST_TEXT_CHARACTERS) return
      host.out(text)
      text = ''
      await host.flushed()
    },
    disordered(_, milliseconds) {
      const late = timeText(milliseconds / 1000)
      past.complain(`The records are not in the order of their times: one is ${late} late.`)
    },
  })
  host.out(text)
  if (!past.end()) return 1
  if (isJson) return 0
  const { requests, milliseconds } = progress
  const { damaged, leftOut } = past
  const idle = trials.flatMap(({ idle }) => idle)
  const read = {
    requests,
    milliseconds,
    from,
    to,
    damaged,
    leftOut,
    differing,
    sent: sending?.accounts ?? [],
  }
  host.out(replayText({ ...tried, ...read, refusals, held, idle }))
  return 0
}

/** What becomes of the mail: two refusals that name different limits are alike. */
function verbOf({ action, objection }: TrialAnswer): string {
  return /^\S*/.exec((objection?.action ?? action).trimStart())?.[0].toLowerCase() ?? ''
}

function jsonLine(
  { t, conn, attributes }: Recorded,
  { action, by, code }: TrialAnswer,
  other: TrialAnswer | undefined,
): string {
  const line = {
    t,
    conn,
    instance: attributes.get('instance') ?? '',
    protocol_state: attributes.get('protocol_state') ?? '',
    sasl_username: attributes.get('sasl_username') ?? '',
    action,
    by,
    code,
  }
  const compared = other && { action: other.action, by: other.by, code: other.code }
  return `${JSON.stringify(compared ? { ...line, compared } : line)}\n`
}
