/** mtpolicyctl suggest: limits from a log, from a trace, and from the history of a running daemon. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { daemonClient } from '../../daemon/cli/daemon-client.ts'
import type { DaemonClient } from '../../daemon/cli/host.ts'
import { serveControl } from '../../daemon/control/server.ts'
import type { History, HourSums } from '../../daemon/policy/ports/history.ts'
import { roundUp, suggest } from '../../daemon/replay/suggestion.ts'
import { hoursOf } from '../../daemon/run/commands/hours.ts'
import { runCommand } from '../support/command.ts'
import { idleControl } from '../support/idle-control.ts'

const DAY = 86_400_000
const HOUR = 3_600_000
const NOW = Date.UTC(2026, 11, 1, 12)
const DAYS = 30

/** Not tap's: each of a test is another one, and a socket's path is short. */
function folderOf(t: Test, files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'suggest-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

interface Said {
  readonly status: number
  readonly out: string
  readonly err: string
}

interface Given {
  readonly words?: readonly string[]
  readonly daemon?: DaemonClient
  readonly settings?: readonly string[]
}

async function run(t: Test, { words = [], daemon, settings = [] }: Given): Promise<Said> {
  const root = folderOf(t)
  let out = ''
  let err = ''
  const host = {
    root,
    env: {},
    clock: { now: () => NOW },
    out: (text: string) => {
      out += text
    },
    err: (text: string) => {
      err += text
    },
    ...(daemon && { daemon }),
  }
  await runCommand(['set', 'mtpolicyd/timezone=UTC', ...settings], { root })
  const status = await runCommand(['suggest', ...words], host)
  return { status, out, err }
}

/** Each account sends so many recipients an hour, in so many hours of each day. */
interface Habit {
  readonly account: string
  readonly recipients: number
  readonly hours: number
  /** Days before now. */
  readonly days?: readonly number[]
}

/** Forty people, a newsletter every week, and one who wrote to a thousand once. */
const HABITS: readonly Habit[] = [
  ...Array.from({ length: 40 }, (_, i) => ({
    account: `user${i}`,
    recipients: 5,
    hours: 1 + (i % 6),
  })),
  { account: 'newsletter', recipients: 700, hours: 2, days: [28, 21, 14, 7] },
  { account: 'eve', recipients: 500, hours: 2, days: [3] },
]
const EVERY_DAY = Array.from({ length: DAYS }, (_, i) => DAYS - 1 - i)

function hoursOfHabits(habits: readonly Habit[]): HourSums[] {
  return habits.flatMap(({ account, recipients, hours, days = EVERY_DAY }) =>
    days.flatMap(day =>
      Array.from({ length: hours }, (_, i): HourSums => {
        const hour = NOW - day * DAY - (NOW % DAY) + (3 + i) * HOUR
        return { account, hour, messages: 1, recipients, refused: 0 }
      }),
    ),
  )
}

/** The same as a trace. */
function traceOfHabits(habits: readonly Habit[]): string {
  return hoursOfHabits(habits)
    .toSorted((a, b) => a.hour - b.hour)
    .map(({ account, hour, recipients }, at) => {
      const request = {
        protocol_state: 'END-OF-MESSAGE',
        instance: `i${at}`,
        sasl_username: account,
        recipient_count: String(recipients),
      }
      return `${JSON.stringify({ t: hour, conn: 'c', request })}\n`
    })
    .join('')
}

/** A running daemon's history, in memory. */
function historyOf(sums: readonly HourSums[]): Pick<History, 'hours' | 'status'> {
  return {
    status: () => ({ state: 'ok', problem: undefined, days: 90, gaps: [] }),
    async *hours(since, until) {
      const wanted = sums.filter(({ hour }) => hour >= since && hour < until)
      for (let at = 0; at < wanted.length; at += 100) yield wanted.slice(at, at + 100)
    },
  }
}

async function daemonWith(t: Test, history: Pick<History, 'hours' | 'status'> | undefined) {
  const path = join(folderOf(t), 'c.sock')
  const server = await serveControl(path, {
    ...idleControl,
    // The other questions of a history are not asked for.
    hours: given => hoursOf(history as History | undefined, given),
  })
  t.teardown(() => server.close())
  return daemonClient(path)
}

t.test('limits from the history, each with whom it would have stopped', async t => {
  const daemon = await daemonWith(t, historyOf(hoursOfHabits(HABITS)))
  const { status, out, err } = await run(t, { daemon })
  t.equal(status, 0)
  t.equal(err, '')
  t.match(out, /^42 accounts sent mail from 2026-11-02 to 2026-12-01 \(30 days\)\.$/m)
  t.match(
    out,
    /^\* with 60 per day, 2 accounts would have been stopped in 30 days:\s+newsletter \(4\s+times\), eve$/m,
  )
  t.match(out, /^ {2}with 2,000 per day, nobody would have been stopped in 30 days$/m)
  t.match(out, /The limit in force\s+is 1,000\./)
  t.match(out, /^ {2}mtpolicyctl set mtpolicyd\/threshold=60 mtpolicyd\/threshold\/hour=10$/m)
  t.match(out, /^ {2}mtpolicyctl set mtpolicyd\/user\/newsletter\/threshold=2000$/m)
  t.match(out, /^Over 60, but not regularly: eve\. Nothing is proposed/m)
  t.notMatch(out, /user\/eve/)
  t.ok(
    out.split('\n').every(line => line.length <= 79),
    out,
  )
})

t.test('--json has every proposal', async t => {
  const daemon = await daemonWith(t, historyOf(hoursOfHabits(HABITS)))
  const { out } = await run(t, { daemon, words: ['--json'] })
  const { proposals, ...rest } = JSON.parse(out)
  t.strictSame(rest, {
    since: '2026-11-02T03:00:00.000Z',
    until: '2026-12-01T08:00:00.000Z',
    accounts: 42,
  })
  t.strictSame(
    proposals.find((one: { value: number }) => one.value === 60),
    {
      variable: 'mtpolicyd/threshold',
      value: 60,
      stopped: [
        { account: 'newsletter', times: 4, recipients: 4 * (1400 - 60) },
        { account: 'eve', times: 1, recipients: 1000 - 60 },
      ],
    },
  )
  const own = { variable: 'mtpolicyd/user/newsletter/threshold', value: 2000, stopped: [] }
  t.ok(proposals.some((one: unknown) => JSON.stringify(one) === JSON.stringify(own)))
})

t.test('a stolen password raises no limit, whichever days it was used on', async t => {
  const office = [
    ...HABITS.filter(({ account }) => account !== 'eve'),
    ...Array.from({ length: 80 }, (_, i) => ({ account: `more${i}`, recipients: 5, hours: 2 })),
  ]
  const stolen: readonly Habit[] = [
    // Over midnight; a whole weekend; that of an account that has sent a little more once before.
    { account: 'user7', recipients: 800, hours: 20, days: [13, 12] },
    { account: 'user8', recipients: 800, hours: 20, days: [6, 5, 4, 3] },
    { account: 'mallory', recipients: 90, hours: 1, days: [26] },
    { account: 'mallory', recipients: 800, hours: 20, days: [13] },
    // And that of the newsletter.
    { account: 'newsletter', recipients: 800, hours: 20, days: [10] },
  ]
  const daemon = await daemonWith(t, historyOf(hoursOfHabits([...office, ...stolen])))
  const { out } = await run(t, { daemon })
  const set = out.split('\n').filter(line => line.includes('mtpolicyctl set'))
  t.strictSame(set, [
    '  mtpolicyctl set mtpolicyd/threshold=60 mtpolicyd/threshold/hour=10',
    '  mtpolicyctl set mtpolicyd/user/newsletter/threshold=2000',
    '  mtpolicyctl set mtpolicyd/user/newsletter/threshold/hour=1000',
  ])
  const unusual = /Over 60, but not regularly: (.*?)\. Nothing/.exec(out.replaceAll(/\s+/g, ' '))
  t.strictSame(unusual?.[1]?.split(', ').toSorted(), [
    'mallory (2 times)',
    'newsletter',
    'user7 (2 times)',
    'user8 (4 times)',
  ])
})

t.test(
  'teachers who write to their classes are not stopped because pupils seldom write',
  async t => {
    const school = Array.from({ length: 400 }, (_, i): Habit => {
      const isTeacher = i % 8 === 0
      return {
        account: `${isTeacher ? 'teacher' : 'pupil'}${i}`,
        recipients: isTeacher ? 28 : 1,
        hours: 1,
        days: isTeacher ? [20, 13, 6] : [i % 28],
      }
    })
    const daemon = await daemonWith(t, historyOf(hoursOfHabits(school)))
    const { proposals } = JSON.parse((await run(t, { daemon, words: ['--json'] })).out)
    for (const { variable, stopped } of proposals) t.strictSame(stopped, [], variable)
  },
)

t.test('a trace says the same as the history of the same mail', async t => {
  const folder = folderOf(t, { trace: traceOfHabits(HABITS) })
  const fromTrace = await run(t, { words: ['--json', join(folder, 'trace')] })
  const daemon = await daemonWith(t, historyOf(hoursOfHabits(HABITS)))
  const fromHistory = await run(t, { daemon, words: ['--json'] })
  t.strictSame(JSON.parse(fromTrace.out), JSON.parse(fromHistory.out))
  const text = await run(t, { words: [join(folder, 'trace')] })
  t.match(text.out, /^ {2}mtpolicyctl replay .*trace \\\n {4}--set mtpolicyd\/threshold=60 \\$/m)
})

t.test('what covers less than a week is no reason for a limit', async t => {
  const week = HABITS.map(habit => ({ ...habit, days: [5, 4, 3, 2, 1] }))
  const daemon = await daemonWith(t, historyOf(hoursOfHabits(week)))
  const { status, out } = await run(t, { daemon })
  t.equal(status, 0)
  t.match(out, /less than\s+a week/)
  t.notMatch(out, /mtpolicyctl set/)
  t.match(JSON.parse((await run(t, { daemon, words: ['--json'] })).out), {
    accounts: 42,
    proposals: [],
  })
  const all = await daemonWith(t, historyOf(hoursOfHabits(HABITS)))
  t.match((await run(t, { daemon: all, words: ['--since', '3d'] })).out, /less than\s+a week/)
})

t.test('an account is one, however its name is written', async t => {
  const habits = ['Alice', 'alice@example.org', 'ALICE@EXAMPLE.ORG'].map((account, at) => ({
    account,
    recipients: 40,
    hours: 1,
    days: EVERY_DAY.filter(day => day % 3 === at),
  }))
  const folder = folderOf(t, { trace: traceOfHabits(habits) })
  const settings = ['mtpolicyd/defaultdomain=example.org']
  const { out } = await run(t, { settings, words: ['--json', join(folder, 'trace')] })
  t.equal(JSON.parse(out).accounts, 1)
})

t.test('names that no variable may have as they are, and no shell', async t => {
  const habits = [...HABITS, { account: "o'brien (news)", recipients: 900, hours: 2 }]
  const daemon = await daemonWith(t, historyOf(hoursOfHabits(habits)))
  const { out } = await run(t, { daemon })
  t.match(
    out,
    /^ {2}mtpolicyctl set 'mtpolicyd\/user\/o\^27brien\^20\^28news\^29\/threshold=3000'$/m,
  )
})

t.test('without anything to go by', async t => {
  const empty = await daemonWith(t, historyOf([]))
  t.match(await run(t, { daemon: empty }), { status: 0, out: /^Nothing to go by/ })
  const off = await daemonWith(t, undefined)
  await t.rejects(run(t, { daemon: off }), {
    message: /no history is kept; .*name a log of Postfix/,
  })
  const none = daemonClient(pathsBelow(folderOf(t)).control)
  await t.rejects(run(t, { daemon: none }), {
    message: /no daemon listens at .*; name a log of Postfix instead/,
  })
  const folder = folderOf(t, { file: '\0\x01' })
  t.match(await run(t, { words: [join(folder, 'file')] }), { status: 1, err: /nothing to read/ })
  t.match(await run(t, { words: ['--since', 'ever'] }), {
    status: 64,
    err: /expected a time such as 24h/,
  })
})

t.test('proposals are round, and half of the traffic of one account is no rule', async t => {
  t.strictSame(
    [1, 9, 11, 16, 21, 85, 201, 950, 8001].map(roundUp),
    [1, 10, 15, 20, 30, 100, 300, 1000, 10_000],
  )
  t.equal(
    suggest([], name => name),
    undefined,
  )
})

t.test('days are those of the configured time zone', async t => {
  // 23:30 and 00:30 in Berlin: two days; in UTC it is one.
  const lines = EVERY_DAY.flatMap(day =>
    [22.5, 23.5].map((hour, at) => {
      const t = NOW - (NOW % DAY) - day * DAY + hour * HOUR
      const request = {
        protocol_state: 'END-OF-MESSAGE',
        instance: `${day}.${at}`,
        sasl_username: 'alice',
        recipient_count: '50',
      }
      return `${JSON.stringify({ t, conn: 'c', request })}\n`
    }),
  )
  const folder = folderOf(t)
  writeFileSync(join(folder, 'trace'), lines.join(''))
  const most = async (zone: string): Promise<string | undefined> => {
    const words = [join(folder, 'trace')]
    const { out } = await run(t, { settings: [`mtpolicyd/timezone=${zone}`], words })
    return /per day:[\s\S]*?the most\s+were\s+(\d+)/.exec(out)?.[1]
  }
  t.equal(await most('UTC'), '100')
  t.equal(await most('Europe/Berlin'), '100')
  t.equal(await most('Asia/Kolkata'), '100')
  t.equal(await most('America/New_York'), '100')
})
