/** `explain`: what a request would be answered, by the real daemon, which counts nothing of it. */

import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { askPort, dist, type Finished, installDaemon } from '../support/daemon.ts'

const GERMAN = '193.99.144.80'
const CHINESE = '223.5.5.5'
const message = (instance: string, recipients: number) => ({
  request: 'smtpd_access_policy',
  protocol_state: 'END-OF-MESSAGE',
  client_address: GERMAN,
  sasl_username: 'alice',
  instance,
  recipient_count: String(recipients),
})
const linesOf = (attributes: Readonly<Record<string, string>>): string =>
  Object.entries(attributes)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')

async function start(t: Test, variables: Readonly<Record<string, string>> = {}) {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '5', ...variables })
  t.teardown(() => daemon.remove())
  await daemon.start()
  const alice = (recipients: number, ...more: string[]): Promise<Finished> =>
    daemon.ctl(
      ...['explain', '--user', 'alice', '--client', GERMAN],
      ...['--recipients', String(recipients), ...more],
    )
  return { daemon, alice }
}

const withoutTimes = (json: string): unknown =>
  JSON.parse(json, (name, value: unknown) => (name === 'ms' ? typeof value : value))

const COUNTRY_STEP = {
  plugin: 'countries',
  module: 'AllowedCountries',
  saw: { country: 'DE' },
  outcome: 'nothing',
  ms: 'number',
}
const limitStep = (used: number, outcome: string) => ({
  plugin: 'limit',
  module: 'SendingLimit',
  saw: { used, limit: 5 },
  outcome,
  ms: 'number',
})

t.test('mail that would pass is explained as often as wanted, and is not counted', async t => {
  const { daemon, alice } = await start(t)
  for (let again = 0; again < 3; again++) {
    const { status, stdout, stderr } = await alice(2, '--json')
    t.equal(stderr, '')
    t.equal(status, 0)
    t.strictSame(withoutTimes(stdout), {
      action: 'dunno',
      by: '',
      steps: [COUNTRY_STEP, limitStep(2, 'nothing')],
      counted: false,
    })
  }
  const text = await alice(2)
  t.equal(
    text.stdout.replaceAll(/[\d.]+ ms/g, '0 ms'),
    `Postfix would be told: dunno
No plugin has decided.
This was a rehearsal: nothing was counted, changed or sent.

1.  countries (AllowedCountries), 0 ms
    found: country DE
    no objection
2.  limit (SendingLimit), 0 ms
    found: used 2, limit 5
    no objection
`,
  )
  t.equal(await askPort(daemon.port, message('a', 5)), 'action=dunno', 'all five are left')
  const { requests } = JSON.parse((await daemon.ctl('status', '--json')).stdout).daemon
  t.equal(requests, 1, 'the one real request')
})

t.test('a message that was explained before it came is judged like any other', async t => {
  const { daemon } = await start(t)
  const file = join(daemon.root, 'request')
  writeFileSync(file, linesOf(message('a', 3)))
  const before = await daemon.ctl('explain', file, '--json')
  t.match(JSON.parse(before.stdout).steps.at(-1), { saw: { used: 3, limit: 5 } })
  t.equal(await askPort(daemon.port, message('a', 3)), 'action=dunno')
  t.match(
    await askPort(daemon.port, message('b', 3)),
    /^action=reject /,
    'it is counted, not taken for a repeated one',
  )
})

t.test('a full limit says what is used of it', async t => {
  const { daemon, alice } = await start(t)
  t.equal(await askPort(daemon.port, message('a', 4)), 'action=dunno')
  const { status, stdout } = await alice(2, '--json')
  t.equal(status, 0)
  const { action } = JSON.parse(stdout)
  t.match(action, /^reject 5\.7\.1 .* only 1 of your 5 for today is left/)
  t.strictSame(withoutTimes(stdout), {
    action,
    by: 'limit',
    steps: [COUNTRY_STEP, limitStep(4, `action: ${action}`)],
    counted: false,
  })
  const text = (await alice(2)).stdout
  t.match(text, /^Decided by: limit$/m)
  t.match(text, /found: used 4, limit 5\n {4}decides: this is the answer\n$/)
  t.ok(
    text.split('\n').every(line => line.length < 80),
    text,
  )
  t.equal(await askPort(daemon.port, message('b', 1)), 'action=dunno', 'one is left')
})

t.test(
  'mail from a refused country is explained, and what would come after it is not run',
  async t => {
    const { daemon } = await start(t)
    const { stdout } = await daemon.ctl('explain', '--user', 'alice', '--client', CHINESE, '--json')
    const explained = JSON.parse(stdout)
    t.match(explained.action, /^reject 5\.7\.1 .*\(CN, 223\.5\.5\.5\)/)
    t.equal(explained.by, 'countries')
    t.match(explained.steps, [{ saw: { country: 'CN' }, outcome: `action: ${explained.action}` }])
    t.equal(explained.steps.length, 1)
    t.equal(await askPort(daemon.port, message('a', 1)), 'action=dunno')
  },
)

t.test('in observe mode it is shown what would be refused otherwise', async t => {
  const { daemon } = await start(t, { 'mtpolicyd/mode': 'observe' })
  const { stdout } = await daemon.ctl('explain', '--user', 'alice', '--client', CHINESE)
  t.match(stdout, /^Postfix would be told: dunno$/m)
  t.match(stdout, /^In observe mode nothing is refused\. Otherwise, by countries: reject /m)
})

t.test('each of several limits says what is used of it', async t => {
  const { daemon, alice } = await start(t, { 'mtpolicyd/threshold/hour': '3' })
  t.equal(await askPort(daemon.port, message('a', 2)), 'action=dunno')
  const { steps } = JSON.parse((await alice(1, '--json')).stdout)
  const saw = steps.slice(1).map((step: { saw: unknown }) => step.saw)
  t.strictSame(
    saw.toSorted((a: { limit: number }, b: { limit: number }) => a.limit - b.limit),
    [
      { used: 3, limit: 3 },
      { used: 3, limit: 5 },
    ],
  )
})

t.test('a plugin that fails, or that is not run in a rehearsal, says so', async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const { port } = daemon
  writeFileSync(
    join(daemon.root, 'etc/univention-mtpolicyd/mtpolicyd.conf'),
    `port = "127.0.0.1:${port}"
on_failure = close
<Connection db>
  module = Sql
  dsn = "dbi:SQLite:dbname=${daemon.root}/nowhere/x.db"
</Connection>
<VirtualHost ${port}>
  name = "mine"
  <Plugin ban>
    module = "Fail2Ban"
  </Plugin>
  <Plugin list>
    module = "SqlList"
    sql_query = "SELECT 1 FROM seen WHERE ip = ?"
  </Plugin>
</VirtualHost>
`,
  )
  await daemon.start()
  const { status, stdout } = await daemon.ctl('explain', '--client', GERMAN, '--user', 'alice')
  t.equal(status, 1)
  t.match(stdout, /^Postfix would get no answer: the connection would be closed\.$/m)
  t.match(stdout, /1\. {2}ban \(Fail2Ban\), 0 ms\n {4}skipped: it acts on something outside/)
  t.match(stdout, /2\. {2}list \(SqlList\), [\d.]+ ms\n {4}failed: /)
  const json = await daemon.ctl('explain', '--client', GERMAN, '--user', 'alice', '--json')
  t.equal(json.status, 1)
  t.match(JSON.parse(json.stdout), {
    action: 'close',
    steps: [{ outcome: /^skipped: / }, { outcome: /^failed: / }],
  })
  t.notMatch(daemon.log(), /plugin list failed/, 'the log is of real mail')
})

t.test(
  'a request is read from standard input, with options in place of its attributes',
  async t => {
    const { daemon } = await start(t)
    const child = spawn(join(dist, 'mtpolicyctl'), [
      ...['--root', daemon.root, 'explain', '-', '--client', CHINESE],
      '--json',
    ])
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (data: string) => {
      text += data
    })
    child.stdin.end(`${linesOf(message('a', 1))}\n`)
    const status = await new Promise(resolve => child.once('close', resolve))
    t.equal(status, 0)
    t.match(JSON.parse(text), { by: 'countries' })
  },
)

t.test('what is in force is explained, not a file that has changed since', async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const conf = join(daemon.root, 'etc/univention-mtpolicyd/mtpolicyd.conf')
  const textOf = (action: string): string =>
    `port = "127.0.0.1:${daemon.port}"\n<VirtualHost ${daemon.port}>\n  name = "mine"\n  <Plugin all>\n    module = "Action"\n    action = "${action}"\n  </Plugin>\n</VirtualHost>\n`
  writeFileSync(conf, textOf('reject one'))
  await daemon.start()
  writeFileSync(conf, textOf('reject two'))
  const actionNow = async (...more: string[]): Promise<string> =>
    (await daemon.ctl('explain', '--user', 'alice', ...more)).stdout.split('\n', 1)[0] ?? ''
  t.equal(await actionNow(), 'Postfix would be told: reject one')
  t.equal((await daemon.ctl('reload')).status, 0)
  t.equal(await actionNow('--port', String(daemon.port)), 'Postfix would be told: reject two')

  const elsewhere = await daemon.ctl('explain', '--user', 'alice', '--port', '1')
  t.equal(elsewhere.status, 1)
  t.match(elsewhere.stderr, `the daemon does not listen on 1, but on ${daemon.port}`)
})

t.test('what is not a request is named at its place, with what was expected', async t => {
  const { daemon } = await start(t)
  const file = join(daemon.root, 'request')
  for (const [text, where] of [
    ['a=1\nb=2\nnonsense\n', 'line 3: expected name=value, found "nonsense"'],
    ['=1\n', 'line 1: expected name=value, found "=1"'],
    ['', 'line 1: expected name=value, found nothing'],
    ['a=1\n\nb=2\n', 'line 3: expected the end: an empty line ends the request'],
    ['size=big\n', 'line 1: size: expected a whole number, found "big"'],
    ['a=1\nclient_address=here\n', 'line 2: client_address: expected an IP address, found "here"'],
    [`a=${'x'.repeat(70_000)}\n`, 'longer than 60000 characters'],
  ] as const) {
    writeFileSync(file, text)
    const { status, stdout, stderr } = await daemon.ctl('explain', file)
    t.equal(stderr, `${file}: ${where}\n`)
    t.equal(stdout, '')
    t.equal(status, 1)
  }
  for (const [words, what] of [
    [[], 'expected FILE, - for standard input, or options such as --user'],
    [['--recipients', 'two'], 'option --recipients: expected a whole number, found "two"'],
    [['--client', 'here'], 'option --client: expected an IP address, found "here"'],
    [['--stage', 'LATER'], /option --stage: expected .* or ETRN, found "LATER"/],
  ] as const) {
    const { status, stderr } = await daemon.ctl('explain', ...words)
    t.match(stderr, what)
    t.equal(status, 64)
  }
  t.equal((await daemon.ctl('explain', join(daemon.root, 'nothing'))).status, 1)
})

t.test('without a daemon there is nothing to explain', async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const { status, stdout, stderr } = await daemon.ctl('explain', '--user', 'alice')
  t.equal(status, 1)
  t.equal(stdout, '')
  t.match(stderr, 'the daemon is not running')
})
