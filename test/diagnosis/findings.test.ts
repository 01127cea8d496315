/** What is wrong, from what was seen: values in, findings out. */

import t, { type Test } from 'tap'
import { daemonFindings } from '../../daemon/control/daemon-findings.ts'
import type { DaemonStatus } from '../../daemon/control/protocol.ts'
import { answerFindings } from '../../daemon/diagnosis/answer-findings.ts'
import type { HostFacts } from '../../daemon/diagnosis/host-facts.ts'
import { hostFindings } from '../../daemon/diagnosis/host-findings.ts'
import { postfixFindings, silentServers } from '../../daemon/diagnosis/postfix-findings.ts'
import type { OwnedProbe } from '../../daemon/diagnosis/probe.ts'
import type { Finding } from '../../daemon/policy/finding.ts'
import type { PostfixStatus } from '../../daemon/postfix/inspect.ts'

const WELL: DaemonStatus = {
  version: '1',
  pid: 1,
  since: '2026-11-20T12:00:00.000Z',
  configuration: '/etc/mtpolicyd.conf',
  origin: 'variables',
  mode: 'enforce',
  endpoints: ['127.0.0.1:12345'],
  connections: 0,
  requests: 9,
  refused: 0,
  deadlines: 0,
  failures: 0,
  store: { path: '/ledger', state: 'ok', durability: 'normal' },
  geoip: { path: '/geoip', builtAt: undefined, ageDays: 1, state: 'current', problem: undefined },
  dns: { servers: ['192.0.2.53'], cached: 0, questions: 9, failures: 8, silent: [], refusing: [] },
  recipientOnlyServices: [],
  plugins: [],
  warnings: [],
  droppedLogLines: 0,
}
const MAIL_LOG = {
  state: 'unreadable',
  setting: 'auto',
  source: '',
  problem: 'permission denied',
  givenBack: 0,
} as const
const MAIL = {
  name: 'mail',
  waiting: 0,
  oldest: undefined,
  done: 1,
  lost: 0,
  problem: undefined,
}
const ALERTS = {
  state: 'on',
  deliveries: [MAIL],
  inForce: 1,
  problem: undefined,
  silentSince: undefined,
  crashes: 2,
} as const
const PLUGIN = { host: 'a', module: 'Spf', runs: 9, lastFailure: 'timed out', milliseconds: 1 }

/** Each in one line; both languages have every text, and none ends in a period. */
function summaries(t: Test, findings: readonly Finding[]): string[] {
  for (const { id, what, why, remedy } of findings) {
    for (const text of [what, why, remedy].flatMap(({ en, de }) => [en, de])) {
      t.match(text, /\S.*[^.]$/s, id)
    }
  }
  return findings.map(({ severity, id, subject }) => `${severity} ${id} (${subject})`)
}

t.test('the running daemon, by what it reports of itself', async t => {
  for (const [what, status, expected] of [
    ['all is well', {}, []],
    ['no port', { endpoints: [] }, ['error not-listening (listening)']],
    ['failed requests', { failures: 2 }, ['warning requests-failed (requests)']],
    [
      'counts in memory',
      { store: { ...WELL.store, state: 'counts are in memory only: no space left' } },
      ['warning counts-not-durable (counts)'],
    ],
    ['counts not needed', { store: { ...WELL.store, state: 'not used' } }, []],
    ['measures in force', { measures: { inForce: 3, problem: undefined } }, []],
    [
      'measures that are lost',
      { measures: { inForce: 0, problem: '/state/measures.json could not be used' } },
      ['warning measures-lost (measures)'],
    ],
    ['old countries', { geoip: { ...WELL.geoip, ageDays: 365 } }, ['warning geoip-old (GeoIP)']],
    ['almost old countries', { geoip: { ...WELL.geoip, ageDays: 364.9 } }, []],
    [
      'no countries',
      { geoip: { ...WELL.geoip, state: 'missing' } },
      ['warning geoip-unreadable (GeoIP)'],
    ],
    ['no DNS', { dns: { ...WELL.dns, failures: 9 } }, ['warning dns-failing (DNS)']],
    ['DNS not used', { dns: { ...WELL.dns, questions: 0, failures: 0 } }, []],
    [
      'lists that protect nobody',
      {
        dns: {
          ...WELL.dns,
          silent: [{ list: 'a.example', until: '2026-11-20T12:01:00.000Z' }],
          refusing: [{ list: 'b.example', answer: '127.255.255.254' }],
        },
      },
      ['warning dns-list-silent (DNS list)', 'warning dns-list-refusing (DNS list)'],
    ],
    [
      'a plugin that fails',
      {
        plugins: [
          { ...PLUGIN, plugin: 'a/spf', failures: 1 },
          { ...PLUGIN, plugin: 'a/b', failures: 0 },
        ],
      },
      ['warning plugin-failing (plugin)'],
    ],
    ['a log that is read', { mailLog: { ...MAIL_LOG, state: 'reading' } }, []],
    ['a log that is not wanted', { mailLog: { ...MAIL_LOG, state: 'off' } }, []],
    ['no log', { mailLog: MAIL_LOG }, ['note mail-log-unreadable (mail log)']],
    [
      'a named log that cannot be read',
      { mailLog: { ...MAIL_LOG, setting: '/log', source: '/log' } },
      ['warning mail-log-unreadable (mail log)'],
    ],
    ['alerts that arrive', { alerts: ALERTS }, []],
    ['alerts that are off', { alerts: { ...ALERTS, state: 'off' } }, []],
    [
      'a webhook that fails',
      {
        alerts: { ...ALERTS, deliveries: [{ ...MAIL, waiting: 2, oldest: 1, problem: 'refused' }] },
      },
      ['warning alerts-failing (alerts)'],
    ],
    [
      'a webhook that has failed a moment ago',
      {
        alerts: {
          ...ALERTS,
          deliveries: [{ ...MAIL, waiting: 1, oldest: Date.now(), problem: 'refused' }],
        },
      },
      [],
    ],
    [
      'alerts that were given up',
      { alerts: { ...ALERTS, deliveries: [{ ...MAIL, lost: 1 }] } },
      ['note alerts-lost (alerts)'],
    ],
    [
      'alerts in memory',
      { alerts: { ...ALERTS, problem: 'no space left' } },
      ['warning alerts-not-durable (alerts)'],
    ],
    [
      'Postfix asks no more',
      { alerts: { ...ALERTS, silentSince: 1 } },
      ['warning postfix-silent (requests)'],
    ],
    ['a restart loop', { alerts: { ...ALERTS, crashes: 3 } }, ['error restart-loop (daemon)']],
    [
      'what needs no action',
      { recipientOnlyServices: ['25'], droppedLogLines: 3, mode: 'observe' },
      [
        'note service-only-at-rcpt (service)',
        'note log-lines-dropped (log)',
        'note observing (policy)',
      ],
    ],
  ] as const) {
    t.strictSame(summaries(t, daemonFindings({ ...WELL, ...status })), expected, what)
  }
})

const FACTS: HostFacts = {
  now: Date.UTC(2026, 10, 30),
  latestChange: Date.UTC(2026, 10, 29),
  stateFolder: '/state',
  disk: { free: 1 << 30, all: 2 ** 32 },
  handWritten: undefined,
  problems: [],
}

t.test('the host’s files, clock and disk', async t => {
  const place = { file: '/a.conf', line: 3, column: 1 }
  const problem = { severity: 'error', place, message: 'no such plugin' } as const
  const fatal = { severity: 'fatal', place: { ...place, line: 9 }, message: 'no end tag' } as const
  for (const [what, facts, expected] of [
    ['all is well', {}, []],
    ['a clock that is slow', { now: Date.UTC(2026, 10, 28) }, ['warning clock-wrong (clock)']],
    ['a clock within the hour', { now: FACTS.latestChange - 3_000_000 }, []],
    [
      'little space',
      { disk: { free: 1 << 20, all: 2 ** 32 } },
      ['warning disk-nearly-full (disk)'],
    ],
    [
      'a small share',
      { disk: { free: 1 << 30, all: 2 ** 36 } },
      ['warning disk-nearly-full (disk)'],
    ],
    ['a disk nobody can see', { disk: undefined }, []],
    ['by hand', { handWritten: '/a.conf' }, ['warning variables-inactive (policy)']],
    ['a mistake', { problems: [problem] }, ['warning configuration-broken (configuration)']],
    ['a fatal one', { problems: [problem, fatal] }, ['error configuration-broken (configuration)']],
    ['only a warning', { problems: [{ ...problem, severity: 'warning' }] }, []],
  ] as const) {
    const found = hostFindings({ ...FACTS, ...facts }, undefined)
    t.strictSame(summaries(t, found), expected, what)
  }
  const [first] = hostFindings({ ...FACTS, problems: [problem, fatal] }, undefined)
  t.equal(first?.where, '/a.conf:9', 'the fatal one is shown')
  t.match(first?.remedy.en, 'shows this and 1 more')
  const running = { ...WELL, origin: 'variables' } as const
  t.strictSame(hostFindings({ ...FACTS, handWritten: '/a.conf' }, running), [], 'the daemon knows')
})

t.test('whether the daemon answers where Postfix queries it', async t => {
  const listener = { kind: 'inet', address: '127.0.0.1', port: 12_345 } as const
  const probe = (outcome: OwnedProbe['outcome'], pid?: number): OwnedProbe => ({
    where: '127.0.0.1:12345',
    listener,
    outcome,
    owner: pid === undefined ? undefined : { pid, name: 'other', unit: undefined },
    freePort: 12_346,
  })
  const DOWN = 'not running'
  for (const [what, probes, down, expected] of [
    ['it answers', [probe('answers', 7)], undefined, []],
    ['it hangs', [probe('mute', 7)], undefined, ['error daemon-down (daemon)']],
    ['nothing listens', [probe('silent')], DOWN, ['error daemon-down (daemon)']],
    ['systemd holds the socket', [probe('mute', 1)], DOWN, ['error daemon-down (daemon)']],
    ['another program', [probe('stranger', 7)], DOWN, ['warning port-taken (daemon)']],
    ['another policy server', [probe('answers', 7)], DOWN, ['warning port-taken (daemon)']],
    ['it runs elsewhere only', [probe('stranger', 7)], undefined, ['warning port-taken (daemon)']],
  ] as const) {
    t.strictSame(summaries(t, answerFindings(probes, down)), expected, what)
  }
  const [down] = answerFindings([probe('silent')], 'the daemon did not answer within 3 s')
  t.match(down?.what.en, 'not running (the daemon did not answer within 3 s)')
})

t.test('Postfix, in as few words as status has room for', async t => {
  const instance: PostfixStatus = {
    configDir: '/etc/postfix',
    isRunning: true,
    ok: true,
    coverage: 'complete',
    isRecorded: true,
    services: [{ name: '587/inet', answer: 'asked' }],
    asksAt: [],
    findings: [],
    notes: [],
  }
  const broken: Finding = {
    id: 'broken-item',
    subject: 'Postfix',
    severity: 'error',
    where: '/etc/postfix/main.cf:3',
    service: '',
    what: { en: 'it is broken', de: 'es ist kaputt' },
    why: { en: 'mail is deferred', de: 'Mail wird zurückgestellt' },
    remedy: { en: 'mend it', de: 'reparieren' },
  }
  const maybe = { name: '465/inet', answer: 'perhaps' } as const
  for (const [what, status, isLeftAlone, expected] of [
    ['queried', {}, false, []],
    ['no Postfix', { absent: 'not installed' }, false, ['error not-asked (Postfix)']],
    ['no Postfix, and none is wanted', { absent: 'not installed' }, true, []],
    [
      'an error first',
      { findings: [broken], services: [maybe] },
      true,
      ['error broken-item (Postfix)'],
    ],
    [
      'perhaps',
      { services: [...instance.services, maybe] },
      true,
      ['warning mail-may-pass (Postfix)'],
    ],
    ['not registered', { services: [] }, false, ['warning not-registered (Postfix)']],
    ['not registered, on purpose', { services: [] }, true, []],
    ['an item, and no logins yet', { services: [], item: 'check_policy_service x' }, false, []],
  ] as const) {
    t.strictSame(
      summaries(t, postfixFindings({ ...instance, ...status }, isLeftAlone)),
      expected,
      what,
    )
  }
  const listener = { kind: 'unix', path: '/s' } as const
  const at = { where: '/s', listener } as const
  t.strictSame(
    summaries(
      t,
      silentServers([
        { ...at, outcome: 'mute' },
        { ...at, outcome: 'silent' },
      ]),
    ),
    ['error no-answer (Postfix)'],
  )
  t.strictSame(silentServers([{ ...at, outcome: 'answers' }]), [])
})
