/** The cases of bench.ts: which servers are compared, what is in their ledgers, and the targets. */

import { type Measured, median } from './contest.ts'
import type { Ended, Setup } from './entrant.ts'
import { DEFAULT_COUNTER } from './ledger-file.ts'
import { type Asked, grouped, type Row } from './table.ts'

const FEW = 10_000
const MILLION = 1_000_000
const IDLE = 5000
/** The daemon deletes older days (run/housekeeping.ts). */
const KEPT_DAYS = 90
/**
 * How many more days there are at startup: as if it was down for a day, or a day has just ended.
 */
const OLD_DAYS = 2
const HISTORY_USERS = 100_000

export interface Case {
  readonly name: string
  readonly connections: number
  readonly setups: readonly Setup[]
  /** Are requests also sent to the last server during the minute in which it deletes old days? */
  readonly forgets?: true
  /** Is a trace of such requests replayed after each round, by the policy of the last server? */
  readonly replays?: true
  /** Its targets, in addition to exact counts. `replayed`: requests per second, round by round. */
  rows(
    of: (name: string) => Ended,
    whileForgetting: Measured | undefined,
    replayed: readonly number[],
  ): readonly Row[]
}

const echo: Setup = {
  name: 'echo',
  kind: 'echo',
  users: FEW,
  durability: 'normal',
  stored: { days: 0, users: 0 },
  idle: 0,
  starts: 1,
}
const floor: Setup = { ...echo, name: 'floor', kind: 'floor' }
const ours: Setup = { ...echo, name: 'ours', kind: 'ours' }

function speed(what: string, one: Ended, other: Ended, asked?: Asked): Row {
  return { what, measured: 100 * ratio(one, other, 'perSecond'), unit: '%', asked }
}

function slowness(what: string, one: Ended, other: Ended, asked?: Asked): Row {
  return { what, measured: ratio(one, other, 'p99'), unit: 'x', asked }
}

/**
 * The median of the rounds' ratios: two servers that are queried one after the other find the
 * machine in the same state.
 */
function ratio(one: Ended, other: Ended, of: 'perSecond' | 'p99' | 'threadMicroseconds'): number {
  const [ones, others] = [one.contestant.rounds, other.contestant.rounds]
  return median(ones.map((round, i) => round[of] / (others[i]?.[of] ?? Number.NaN)))
}

const usual = (connections: number): Case => ({
  name: `${grouped(connections)} connections`,
  connections,
  setups: [echo, floor, ours],
  rows: of => [
    speed('speed, of the echo', of('ours'), of('echo'), { least: 40 }),
    speed('speed, of the floor', of('ours'), of('floor'), { least: 75 }),
    slowness('p99, of the floor', of('ours'), of('floor'), { most: 1 }),
  ],
})

const durable: Case = {
  name: 'durability full',
  connections: 16,
  setups: [floor, ours].map(setup => ({ ...setup, durability: 'full' })),
  rows: of => [
    speed('speed, of the floor', of('ours'), of('floor'), { least: 80 }),
    slowness('p99, of the floor', of('ours'), of('floor')),
  ],
}

const million: Case = {
  name: '1 million users',
  connections: 16,
  setups: [
    { ...floor, users: MILLION },
    ours,
    { ...ours, name: 'a million', users: MILLION, stored: { days: 1, users: MILLION }, starts: 5 },
  ],
  rows(of) {
    const all = of('a million')
    const megabytes = all.kilobytes / 1024
    const milliseconds = median(all.startMilliseconds)
    return [
      speed('speed, of 10,000 users', all, of('ours'), { least: 85 }),
      speed('speed, of the floor', all, of('floor')),
      { what: 'memory', measured: megabytes, unit: 'MB', asked: { most: 150 } },
      { what: 'start to first answer', measured: milliseconds, unit: 'ms', asked: { most: 150 } },
      { what: 'start after all that', measured: all.afterStop, unit: 'ms' },
      { what: 'start after kill -9', measured: all.afterKill, unit: 'ms' },
    ]
  },
}

/**
 * The same policy with the history and without it. With 16 connections daemon and load generator take two cores whole, so
 * whatever else takes time is time they lack; with two they leave some, at more requests than any mail server has.
 */
const withHistory = (connections: number): Case => ({
  name: `history (${connections})`,
  connections,
  setups: [
    { ...ours, name: 'without' },
    { ...ours, name: 'with', settings: ['mtpolicyd/history/days=90'] },
  ],
  rows: of => [
    speed('speed, of the one without', of('with'), of('without'), { least: 90 }),
    slowness('p99, of the one without', of('with'), of('without')),
    // On two cores the history's own thread and the load generator compete for the other one.
    {
      what: 'CPU of the answering thread',
      measured: ratio(of('with'), of('without'), 'threadMicroseconds'),
      unit: 'x',
    },
    {
      what: 'its memory',
      measured: (of('with').kilobytes - of('without').kilobytes) / 1024,
      unit: 'MB',
    },
  ],
})

/** The default policy tells root of alerts; nobody is near a limit here. */
const withAlerts: Case = {
  name: 'alerts',
  connections: 16,
  setups: [
    { ...ours, name: 'without' },
    { ...ours, name: 'with', settings: ['mtpolicyd/alert/mail=root'] },
  ],
  rows: of => [
    speed('speed, of the one without', of('with'), of('without'), { least: 95 }),
    slowness('p99, of the one without', of('with'), of('without')),
  ],
}

/**
 * A million accounts in the history, and questions about them all the time. Two connections: there is room for both, as
 * with the 20,000 requests a second that no mail server has.
 */
const asked: Case = {
  name: 'questions',
  connections: 2,
  setups: [
    {
      ...ours,
      name: 'nobody asks',
      users: MILLION,
      settings: ['mtpolicyd/history/days=90'],
      isAsked: false,
    },
    {
      ...ours,
      name: 'somebody asks',
      users: MILLION,
      settings: ['mtpolicyd/history/days=90'],
      isAsked: true,
    },
  ],
  rows: of => [
    slowness('p99, of the one nobody asks', of('somebody asks'), of('nobody asks'), { most: 1.2 }),
    speed('speed, of the one nobody asks', of('somebody asks'), of('nobody asks')),
    { what: 'questions answered', measured: of('somebody asks').asked.questions, unit: '' },
    {
      what: 'slowest answer',
      measured: of('somebody asks').asked.mostMilliseconds,
      unit: 'ms',
      asked: { most: 300 },
    },
  ],
}

const CONSOLES = 50

/** The same policy with history, web console and metrics, which are read all the time, and without them. */
const withConsoles = (connections: number): Case => ({
  name: `console (${connections})`,
  connections,
  setups: [
    { ...ours, name: 'without' },
    {
      ...ours,
      name: 'with',
      settings: ['mtpolicyd/history/days=90'],
      consoles: CONSOLES,
    },
  ],
  rows: of => [
    speed('speed, of the one without', of('with'), of('without'), { least: 85 }),
    slowness('p99, of the one without', of('with'), of('without')),
    // On two cores the console's thread, its readers and the load generator compete for the other one.
    {
      what: 'CPU of the answering thread',
      measured: ratio(of('with'), of('without'), 'threadMicroseconds'),
      unit: 'x',
    },
    {
      what: 'its memory',
      measured: (of('with').kilobytes - of('without').kilobytes) / 1024,
      unit: 'MB',
    },
    { what: 'events read', measured: of('with').consoled.bytes / 2 ** 20, unit: 'MB' },
    {
      what: 'metrics read',
      measured: of('with').consoled.readings,
      unit: '',
      asked: { least: CONSOLES },
    },
  ],
})

const UNREACHED = 1_000_000_000
/** Beside the day's limit of the default policy. */
const ROLLING_LIMITS = ['rolling', 'hour', 'minute'].map(
  window => `mtpolicyd/threshold/${window}=${UNREACHED}`,
)

const several: Case = {
  name: 'several limits',
  connections: 16,
  setups: [
    ours,
    {
      ...ours,
      name: 'six limits',
      settings: [
        ...ROLLING_LIMITS,
        'mtpolicyd/threshold/message=50',
        `mtpolicyd/domain/mail.example.org/threshold=${UNREACHED}`,
      ],
      // Not the minute's, which is over.
      counters: [DEFAULT_COUNTER, 'rolling', 'hour', 'domain'],
    },
  ],
  rows: of => [
    speed('speed, of the default', of('six limits'), of('ours'), { least: 85 }),
    slowness('p99, of the default', of('six limits'), of('ours'), { most: 1.2 }),
  ],
}

const windows: Case = {
  name: 'million, 4 windows',
  connections: 16,
  setups: [
    {
      ...ours,
      name: 'a million in 4 windows',
      users: MILLION,
      settings: ROLLING_LIMITS,
      stored: { days: 1, users: MILLION, isRolling: true },
      starts: 5,
    },
  ],
  rows(of) {
    const all = of('a million in 4 windows')
    const megabytes = all.kilobytes / 1024
    const milliseconds = median(all.startMilliseconds)
    return [
      { what: 'memory', measured: megabytes, unit: 'MB', asked: { most: 250 } },
      { what: 'start to first answer', measured: milliseconds, unit: 'ms', asked: { most: 200 } },
      { what: 'start after all that', measured: all.afterStop, unit: 'ms' },
      { what: 'start after kill -9', measured: all.afterKill, unit: 'ms' },
    ]
  },
}

const history: Case = {
  name: '90 days x 100,000',
  connections: 16,
  setups: [
    ours,
    {
      ...ours,
      name: '90 days',
      // And today.
      stored: { days: OLD_DAYS + KEPT_DAYS + 1, users: HISTORY_USERS },
    },
  ],
  forgets: true,
  rows(of, whileForgetting) {
    const { forgotten } = of('90 days')
    const slowest = (whileForgetting?.max ?? Number.NaN) / 1000
    const all = OLD_DAYS * HISTORY_USERS
    return [
      speed('speed, of an empty ledger', of('90 days'), of('ours'), { about: 100 }),
      { what: 'slowest while forgetting', measured: slowest, unit: 'ms', asked: { most: 20 } },
      { what: 'old sums forgotten in it', measured: forgotten, unit: '', asked: { least: all } },
    ]
  },
}

const idle: Case = {
  name: '5,000 idle',
  connections: 16,
  setups: [ours, { ...ours, name: 'beside 5,000 idle', idle: IDLE }],
  rows(of) {
    const beside = of('beside 5,000 idle')
    const { kilobytesPerIdle, idleAtEnd } = beside
    return [
      speed('speed, of none idle', beside, of('ours'), { about: 100 }),
      slowness('p99, of none idle', beside, of('ours')),
      { what: 'memory each', measured: kilobytesPerIdle, unit: 'KB', asked: { most: 20 } },
      { what: 'still open at the end', measured: idleAtEnd, unit: '', asked: { least: IDLE } },
    ]
  },
}

const replay: Case = {
  name: 'replay',
  connections: 16,
  setups: [ours],
  replays: true,
  rows(of, _, replayed) {
    const { rounds } = of('ours').contestant
    const ratios = replayed.map((perSecond, i) => perSecond / (rounds[i]?.perSecond ?? Number.NaN))
    return [
      {
        what: 'replay, of the daemon',
        measured: 100 * median(ratios),
        unit: '%',
        asked: { least: 100 },
      },
      { what: 'requests replayed/s', measured: median(replayed), unit: '' },
    ]
  },
}

/** With the daemon of another build, asked as ours is. */
export function against(dist: string): (one: Case) => Case {
  return one => ({
    ...one,
    setups: [{ ...ours, name: 'another build', dist }, ...one.setups],
    rows: (of, whileForgetting, replayed) => [
      speed('speed, of another build', of('ours'), of('another build')),
      ...one.rows(of, whileForgetting, replayed),
    ],
  })
}

export const CASES = [
  usual(16),
  usual(100),
  usual(1000),
  durable,
  several,
  withHistory(16),
  withHistory(2),
  asked,
  withAlerts,
  withConsoles(16),
  withConsoles(2),
  million,
  windows,
  history,
  idle,
  replay,
]
