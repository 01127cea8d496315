/** The commands for single accounts, on a daemon in this process, over its control socket. */

import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { daemonClient } from '../../daemon/cli/daemon-client.ts'
import { readSocketBeside } from '../../daemon/control/protocol.ts'
import { Daemon } from '../../daemon/run/daemon.ts'
import type { Supervisor } from '../../daemon/run/supervisor.ts'
import { momentText } from '../../daemon/text/when.ts'
import { runCommand } from '../support/command.ts'
import { freePort } from '../support/free-port.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const HOUR = 3_600_000
const BLOCKED =
  'action=reject 5.7.1 The account alice is blocked; please contact your administrator'

const COUNTRIES = '<Plugin countries>\nmodule = AllowedCountries\ncountries = DE\n</Plugin>\n'
const LIMITS = `<Plugin limit>
  module = SendingLimit
  threshold = 3
</Plugin>
<Plugin hour>
  module = SendingLimit
  window = 1h
  threshold = 3
</Plugin>`
const PASS = '<Plugin a>\nmodule = Action\naction = dunno\n</Plugin>'

const supervisor: Supervisor = {
  isPresent: false,
  sockets: [],
  ready: () => undefined,
  reloading: () => undefined,
  stopping: () => undefined,
}

/** A daemon whose clock is turned by the test. */
async function start(t: Test, plugins = LIMITS) {
  const root = mkdtempSync(join(tmpdir(), 'measures-'))
  const paths = pathsBelow(root)
  const clock = virtualClock()
  const file = join(root, 'mtpolicyd.conf')
  const port = await freePort()
  const logFile = join(root, 'log')
  const stderr = openSync(logFile, 'a')
  mkdirSync(paths.state, { recursive: true })
  const configure = (text: string): void =>
    writeFileSync(
      file,
      `port = "127.0.0.1:${port}"\nmaillog = none\n<VirtualHost ${port}>\nname = v\n${text}\n</VirtualHost>\n`,
    )
  configure(plugins)

  /** Lets time pass until the work is done. */
  async function turning<T>(work: Promise<T>): Promise<T> {
    let isDone = false
    const done = (): void => {
      isDone = true
    }
    work.then(done, done)
    while (!isDone) await clock.advance(1)
    return work
  }
  const open = (): Promise<Daemon> =>
    turning(
      Daemon.start({
        paths,
        source: () => ({ file, text: undefined, origin: 'file', notices: [] }),
        ...{ debug: 1, priorities: false, control: true, supervisor, clock, stderr },
      }),
    )
  let daemon = await open()
  t.teardown(async () => {
    await turning(daemon.stop(100))
    rmSync(root, { recursive: true, force: true })
  })

  let sent = 0
  /** A connection that stays open. */
  async function connection(): Promise<(more?: object) => Promise<string>> {
    const socket = connect(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    await new Promise(resolve => socket.once('connect', resolve))
    return (more = {}) =>
      new Promise(resolve => {
        socket.once('data', bytes => resolve(bytes.toString().trim()))
        const request = {
          ...{ request: 'smtpd_access_policy', protocol_state: 'END-OF-MESSAGE' },
          ...{ sasl_username: 'alice', recipient_count: 1, instance: `m${sent++}` },
          ...more,
        }
        const lines = Object.entries(request).map(([name, value]) => `${name}=${value}\n`)
        socket.write(`${lines.join('')}\n`)
      })
  }

  /** What a command prints, and its exit status. */
  async function ctl(...words: string[]) {
    const out: string[] = []
    const err: string[] = []
    const status = await runCommand(words, {
      ...{ root, clock, daemon: daemonClient(paths.control), env: { SUDO_USER: 'anna' } },
      out: text => void out.push(text),
      err: text => void err.push(text),
    }).catch((error: Error) => {
      err.push(`mtpolicyctl: ${error.message}\n`)
      return 1
    })
    return { status, out: out.join(''), err: err.join('') }
  }
  return {
    ...{ root, paths, clock, configure, connection, ctl },
    log: () => readFileSync(logFile, 'utf8'),
    /** Lines are written some milliseconds later, in real time. */
    async logged(line: RegExp): Promise<boolean> {
      for (let tries = 0; tries < 2000; tries++) {
        if (line.test(readFileSync(logFile, 'utf8'))) return true
        await sleep(10)
      }
      return false
    },
    reload: () => turning(daemon.reload()),
    status: () => daemon.status(),
    async restart() {
      await turning(daemon.stop(100))
      daemon = await open()
    },
  }
}

t.test('a block is in force on an open connection, over a reload and a restart', async t => {
  const { ctl, connection, reload, restart, configure, logged } = await start(t)
  const send = await connection()
  t.equal(await send(), 'action=dunno')
  const ordered = await ctl('block', 'Alice', '--why', 'hacked')
  t.strictSame(ordered, { status: 0, out: 'alice is blocked until released.\n', err: '' })
  t.equal(await send(), BLOCKED)
  t.equal(await send({ sasl_username: 'bob' }), 'action=dunno')
  configure(`${LIMITS}\n${PASS}`)
  await reload()
  t.equal(await send(), BLOCKED)
  await restart()
  const again = await connection()
  t.equal(await again(), BLOCKED)
  t.strictSame(await ctl('release', 'alice'), {
    status: 0,
    out: 'alice is no longer blocked.\n',
    err: '',
  })
  t.equal(await again(), 'action=dunno')
  t.ok(await logged(/measure ordered account=alice kind=block by=anna why=hacked\n/))
  t.ok(await logged(/measure released account=alice kind=block by=anna why=hacked ended_by=anna\n/))
})

t.test('a block ends at its time, and the records have it', async t => {
  const { ctl, connection, clock, log, logged, paths } = await start(t)
  const send = await connection()
  const until = momentText(clock.now() + 2 * HOUR)
  t.equal((await ctl('block', 'alice', '--until', '+2h')).out, `alice is blocked until ${until}.\n`)
  await clock.advance(2 * HOUR - 10_000)
  t.equal(await send(), BLOCKED)
  await clock.advance(11_000)
  t.equal(await send(), 'action=dunno')
  // Housekeeping may be waiting for the disk, which the clock of this test does not turn.
  for (let tries = 0; tries < 1000 && !log().includes('measure expired'); tries++) {
    await sleep(5)
    await clock.advance(1000)
  }
  t.ok(await logged(/measure expired account=alice kind=block until=\S+ by=anna\n/))
  t.match(JSON.parse(readFileSync(paths.measures, 'utf8')), {
    measures: [],
    ended: [{ kind: 'block', how: 'expired', endedBy: '' }],
  })
  t.match((await ctl('measures')).out, 'No measure is in force.\n')
})

t.test('a clock that jumps ends a block at the moment that was said', async t => {
  const { ctl, connection, clock } = await start(t)
  const send = await connection()
  await ctl('block', 'alice', '--until', '+1d')
  clock.jump(25 * HOUR)
  t.equal(await send(), 'action=dunno')
})

t.test(
  'a limit of an account is another one for a time, and its count can begin again',
  async t => {
    const { ctl, connection, clock, logged } = await start(t)
    const send = await connection()
    t.equal(await send({ recipient_count: 3 }), 'action=dunno')
    t.match(await send(), /^action=reject/)
    const until = momentText(clock.now() + 24 * HOUR)
    t.equal(
      (await ctl('limit', 'alice', '5', '--until', '+1d')).out,
      `alice has a limit of 5 per day until ${until}.\n`,
    )
    t.match(await send(), /^action=reject/, 'the hour is another limit')
    t.equal(
      (await ctl('limit', 'alice', 'unlimited', '--until', '+1d', '--window', 'hour')).out,
      `alice has no limit per 1h until ${until}.\n`,
    )
    t.equal(await send({ recipient_count: 2 }), 'action=dunno')
    t.match(await send(), /^action=reject/)
    const replaced = await ctl('limit', 'alice', '6', '--until', '+1d', '--window', 'day')
    t.equal(
      replaced.out,
      `alice has a limit of 6 per day until ${until}.\nIt replaces: alice has a limit of 5 per day until ${until}.\n`,
    )
    t.equal(await send(), 'action=dunno')

    t.strictSame(await ctl('reset', 'ALICE', '--window', 'day', '--why', 'a mistake'), {
      status: 0,
      out: 'alice: limit (day) begins again at 0; it was 6 recipients.\n',
      err: '',
    })
    t.equal(await send({ recipient_count: 6 }), 'action=dunno')
    t.strictSame(JSON.parse((await ctl('reset', 'alice', '--json')).out), {
      account: 'alice',
      counts: [
        { name: 'limit', window: 'day', unit: 'recipients', used: 6 },
        { name: 'hour', window: '1h', unit: 'recipients', used: 12 },
      ],
    })
    t.ok(await logged(/ verdict=dunno by="" measure=limit used=5 limit=5 ms=/))
    const ended = await ctl('release', 'alice')
    t.equal(ended.out.match(/ has ended\.$/gm)?.length, 2)
    t.equal(await send({ recipient_count: 3 }), 'action=dunno', 'the limit of everybody, from 0')
  },
)

t.test('a count that begins again is on disk', async t => {
  const { ctl, connection, restart } = await start(t)
  const send = await connection()
  await send({ recipient_count: 3 })
  await ctl('reset', 'alice')
  await restart()
  const again = await connection()
  t.equal(await again({ recipient_count: 3 }), 'action=dunno')
  t.match(await again(), /^action=reject/)
})

t.test('what cannot be ordered is refused in words, and nothing is done', async t => {
  const { ctl, paths } = await start(t)
  for (const [words, status, message] of [
    [
      ['limit', 'alice', '5', '--window', 'month', '--until', '+1d'],
      1,
      'has: day (limit), 1h (hour)',
    ],
    [['reset', 'alice', '--window', 'week'], 1, 'no limit per user is called week'],
    [['allow', 'alice', '--countries', 'ES', '--until', '+1d'], 1, 'has no AllowedCountries'],
    [['allow', 'alice', '--countries', '*', '--until', '+1d'], 2, 'expected a list of countries'],
    [['allow', 'alice', '--countries', 'UK', '--until', '+1d'], 2, 'did you mean GB?'],
    [['allow', 'alice', '--until', '+1d'], 64, 'expected --countries'],
    [['allow', 'alice', '--countries', 'ES', '--why', 'x'], 64, 'add --until'],
    [['limit', 'alice', '5', '--why', 'x'], 64, 'add --until'],
    [['limit', 'alice', '1000000001', '--until', '+1d'], 2, 'expected a whole number'],
    [['limit', 'alice', '-1', '--until', '+1d'], 64, '-1'],
    [['limit', 'alice'], 64, 'expected NAME NUMBER'],
    [['limit', 'alice', '1', '2'], 64, '2'],
    [['block', 'alice', '--until', '2020-01-01'], 64, 'in the future'],
    [['block', 'alice', '--why', 'x'.repeat(501)], 1, 'expected 500 at most'],
    [['block', ' '], 64, 'expected the name of an account'],
    [
      ['release', 'alice'],
      1,
      'There is no measure for alice.\nWhat stops it, if anything does: mtpolicyctl user alice',
    ],
  ] as const) {
    const { status: found, out, err } = await ctl(...words)
    t.equal(found, status, `${words.join(' ')}: ${err}`)
    t.match(err, message)
    t.equal(out, '')
    for (const line of err.split('\n').filter(one => !one.startsWith('mtpolicyctl: ')))
      t.ok(line.length <= 80, line)
  }
  t.strictSame(JSON.parse((await ctl('measures', '--json')).out), { measures: [] })
  t.throws(() => readFileSync(paths.measures), 'nothing was written')
})

t.test('lists have who, when and why, and the JSON that programs rely on', async t => {
  const { ctl, clock } = await start(t, COUNTRIES + LIMITS)
  const now = momentText(clock.now())
  const iso = new Date(clock.now() + HOUR).toISOString()
  const until = momentText(clock.now() + HOUR)
  const why = 'hacked: it sends from three countries, and the user does not answer the telephone'
  await ctl('block', 'alice', '--why', why)
  await ctl('allow', 'bob', '--countries', 'es,PT', '--until', '+1h')
  await ctl('limit', 'carol', '0', '--until', '+1h', '--why', '\u001b[31mred\nline')
  t.equal(
    (await ctl('measures')).out,
    `alice is blocked until released
    ordered ${now} by anna: hacked: it sends from three countries,
    and the user does not answer the telephone
bob may also send from ES, PT until ${until}
    ordered ${now} by anna
carol has a limit of 0 per day until ${until}
    ordered ${now} by anna:  [31mred line
`,
  )
  t.strictSame(JSON.parse((await ctl('measures', '--json')).out), {
    measures: [
      { account: 'alice', kind: 'block', value: '', until: null, by: 'anna', why },
      { account: 'bob', kind: 'allow', value: 'ES,PT', until: iso, by: 'anna', why: '' },
      ...[{ account: 'carol', kind: 'limit', value: '0 per day', until: iso, by: 'anna' }].map(
        one => ({ ...one, why: ' [31mred line' }),
      ),
    ],
  })
  await ctl('block', 'alice', '--until', '+1h')
  await ctl('release', 'bob')
  await ctl('reset', 'bob', '--why', 'a newsletter')
  t.equal(
    (await ctl('measures', '--ended')).out,
    `bob: count begins again at 0 (day, 1h)
    ordered ${now} by anna: a newsletter
bob: allow ES, PT, until ${until}
    ordered ${now} by anna; released ${now} by anna
alice: block
    ordered ${now} by anna; replaced ${now} by anna:
    hacked: it sends from three countries, and the user does not answer the
    telephone
`,
  )
  t.match(JSON.parse((await ctl('measures', '--ended', '--json')).out), {
    measures: [
      { account: 'bob', kind: 'reset', value: 'day,1h', how: 'done' },
      { account: 'bob', kind: 'allow', how: 'released', endedBy: 'anna', by: 'anna' },
      { account: 'alice', kind: 'block', how: 'replaced', why },
    ],
  })
  t.match(JSON.parse((await ctl('block', 'dan', '--json')).out), {
    measure: { account: 'dan', kind: 'block', value: '', until: null, by: 'anna', why: '' },
    replaced: [],
  })
  t.match(JSON.parse((await ctl('release', 'dan', '--json')).out), { ended: [{ account: 'dan' }] })
  const none = await ctl('release', 'dan', '--json')
  t.strictSame([none.status, JSON.parse(none.out)], [1, { ended: [] }])
})

t.test('thousands of measures are listed whole', async t => {
  const { ctl, paths, restart, status } = await start(t)
  const measures = Array.from({ length: 10_000 }, (_, i) => {
    const at = '2026-11-20T11:00:00Z'
    return { kind: 'block', account: `user${i}`, at, by: 'anna', why: 'x'.repeat(100) }
  })
  writeFileSync(paths.measures, JSON.stringify({ version: 1, measures, ended: [] }))
  await restart()
  const listed = JSON.parse((await ctl('measures', '--json')).out).measures
  t.equal(listed.length, 10_000)
  t.match(listed[9999], { account: 'user9999' })
  t.match((await status()).measures, { inForce: 10_000, problem: undefined })
  t.match((await ctl('block', 'alice')).err, 'there are 10000 measures already')
  t.equal((await ctl('release', 'user5')).status, 0)
  t.equal((await ctl('block', 'alice')).status, 0)
})

t.test('explain shows a block and what a measure has done', async t => {
  const { ctl, connection } = await start(t, COUNTRIES + LIMITS)
  await ctl('limit', 'alice', '9', '--until', '+1h')
  const mail = ['explain', '--user', 'alice', '--client', '127.0.0.1', '--json']
  t.match(JSON.parse((await ctl(...mail)).out), {
    action: 'dunno',
    steps: [
      { plugin: 'countries' },
      { plugin: 'limit', saw: { used: 1, limit: 9, measure: 'limit' } },
      { plugin: 'hour', saw: { limit: 3 } },
    ],
  })
  await ctl('block', 'alice', '--why', 'hacked')
  t.match(JSON.parse((await ctl(...mail)).out), {
    action: BLOCKED.replace('action=', ''),
    by: 'block',
    steps: [
      {
        ...{ plugin: 'block', module: 'measure', outcome: /^action: reject/ },
        saw: { account: 'alice', ordered_by: 'anna', why: 'hacked' },
      },
    ],
  })
  await ctl('release', 'alice')
  const send = await connection()
  t.equal(await send({ recipient_count: 3 }), 'action=dunno', 'nothing was counted')
})

t.test('a damaged file costs its measures, not the mail, and the daemon says so', async t => {
  const { ctl, connection, paths, restart, status, logged } = await start(t)
  await ctl('block', 'alice')
  writeFileSync(paths.measures, '{"version":1')
  await restart()
  const send = await connection()
  t.equal(await send(), 'action=dunno')
  t.match((await status()).measures, { inForce: 0, problem: /could not be used: it is not JSON/ })
  t.ok(await logged(/error: \S*measures\.json could not be used: it is not JSON\. It is /))
  t.equal((await ctl('block', 'alice')).status, 0)
  t.equal(await send(), BLOCKED)
})

t.test('who may only read cannot order anything', async t => {
  const { paths, ctl } = await start(t)
  const readOnly = daemonClient(readSocketBeside(paths.control))
  for (const reply of [
    await readOnly.order({ kind: 'block', account: 'alice' }),
    await readOnly.release({ account: 'alice' }),
    await readOnly.reset({ account: 'alice' }),
  ]) {
    t.match(reply, { ok: false, message: /is for root only/ })
  }
  t.match(await readOnly.measures({}), { ok: true })
  t.equal((await ctl('measures')).out, 'No measure is in force.\n')
})
