/** mtpolicyctl replay: its text, its JSON, and what it refuses. */

import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommand } from '../support/command.ts'

const BEGIN = Date.UTC(2026, 10, 20, 8)
const MINUTE = 60_000

interface Said {
  readonly status: number
  readonly out: string
  readonly err: string
}

interface Place {
  readonly root: string
  readonly run: (...words: string[]) => Promise<Said>
  readonly write: (name: string, text: string) => string
}

function place(t: Test, isTerminal = false): Place {
  const root = t.testdir()
  return {
    root,
    write(name, text) {
      const path = join(root, name)
      mkdirSync(join(path, '..'), { recursive: true })
      writeFileSync(path, text)
      return path
    },
    async run(...words) {
      let out = ''
      let err = ''
      const status = await runCommand(words, {
        root,
        isTerminal,
        out: text => {
          out += text
        },
        err: text => {
          err += text
        },
      })
      return { status, out, err }
    },
  }
}

interface Sent {
  readonly user?: string
  readonly recipients?: number
  readonly at?: number
  readonly instance?: string
}

/** One message at its end, from a private address: it has no country. */
function message({ user = 'alice', recipients = 1, at = BEGIN, instance = `${at}` }: Sent): string {
  const request = {
    request: 'smtpd_access_policy',
    protocol_state: 'END-OF-MESSAGE',
    instance,
    client_address: '192.168.0.1',
    sasl_username: user,
    recipient_count: String(recipients),
    size: '1000',
  }
  return `${JSON.stringify({ t: at, conn: 'c', request })}\n`
}

/** Ten messages of alice's with 30 recipients each, and one of bob's. */
const TRACE =
  Array.from({ length: 10 }, (_, i) => message({ recipients: 30, at: BEGIN + i * MINUTE })).join(
    '',
  ) + message({ user: 'Bob', at: BEGIN + 10 * MINUTE })

t.test('with the settings in use nothing is refused here', async t => {
  const { run, write, root } = place(t)
  const { status, out, err } = await run('replay', write('trace', TRACE))
  t.equal(status, 0)
  t.equal(err, '')
  t.match(out, /^11 requests from 2026-11-20 \d\d:00 to 2026-11-20 \d\d:10, replayed in 1 s\.\n/)
  t.match(out, /^Nothing would have been refused\.$/m)
  t.strictSame(readdirSync(root), ['trace'], 'nothing was written')
})

t.test('who would have been refused, since when, by what, and how many recipients', async t => {
  const { run, write } = place(t)
  const trace = write('trace', TRACE)
  const { status, out } = await run('replay', '--set', 'mtpolicyd/threshold=100', trace)
  t.equal(status, 0)
  t.match(out, /^With mtpolicyd\/threshold=100:$/m)
  t.match(out, /^Would have been refused: 7 requests of 1 account, 210 recipients\.$/m)
  t.match(out, /^ {2}ACCOUNT +REQUESTS +RECIPIENTS +SINCE +BY$/m)
  t.match(out, /^ {2}alice +7 +210 +2026-11-20 \d\d:03 +limit$/m)
  t.notMatch(out.split('SENT MOST')[0], /bob/)
})

t.test('a message that Postfix tries again is refused once', async t => {
  const { run, write } = place(t)
  const again = message({ recipients: 30, instance: 'one' })
  const { out } = await run(
    'replay',
    '--set',
    'mtpolicyd/threshold=9',
    write('trace', again + again),
  )
  t.match(out, /^Would have been refused: 2 requests of 1 account, 30 recipients\.$/m)
})

t.test('the lines of --json have exactly these members', async t => {
  const { run, write } = place(t)
  const trace = write('trace', TRACE)
  const { out } = await run('replay', '--json', '--set', 'mtpolicyd/threshold=100', trace)
  const lines = out
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  t.equal(lines.length, 11)
  t.strictSame(Object.keys(lines[0]), [
    ...['t', 'conn', 'instance', 'protocol_state', 'sasl_username', 'action', 'by', 'code'],
  ])
  t.strictSame(lines[10], {
    t: BEGIN + 10 * MINUTE,
    conn: 'c',
    instance: String(BEGIN + 10 * MINUTE),
    protocol_state: 'END-OF-MESSAGE',
    sasl_username: 'Bob',
    action: 'dunno',
    by: '',
    code: '',
  })
  t.match(lines[9], { action: /^reject 5\.7\.1 /, by: 'limit' })
})

t.test('two settings side by side', async t => {
  const { run, write } = place(t)
  const trace = write('trace', TRACE)
  const words = ['--set', 'mtpolicyd/threshold=200', '--compare', 'mtpolicyd/threshold=100', trace]
  const { status, out } = await run('replay', ...words)
  t.equal(status, 0)
  t.match(out, /^With mtpolicyd\/threshold=200, and compared with mtpolicyd\/threshold=100:$/m)
  t.match(out, /^ {2}requests +4 +7$/m)
  t.match(out, /^ {2}recipients +120 +210$/m)
  t.match(out, /^3 requests would be answered differently\./m)
  t.match(out, /^ {2}alice +120 +210 +2026-11-20 \d\d:03 +limit$/m)
  const same = await run('replay', '--compare', 'mtpolicyd/threshold=900', trace)
  t.match(same.out, /^All requests are answered alike\.$/m)

  const json = await run('replay', '--json', ...words)
  const lines = json.out
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  t.equal(lines.length, 3, 'only those that differ')
  t.match(lines[0], { action: 'dunno', compared: { action: /^reject /, by: 'limit', code: '' } })
})

t.test('mail that would have been held is shown, and is no refusal', async t => {
  const { run, write } = place(t)
  const trace = write('trace', TRACE)
  const hold = ['--set', 'mtpolicyd/excess=hold']
  const { out } = await run('replay', '--set', 'mtpolicyd/threshold=100', ...hold, trace)
  t.match(out, /^Nothing would have been refused\.$/m)
  t.match(out, /^Would have been held or redirected: 7 requests of 1 account, 210 recipients\.$/m)
  t.match(out, /^ {2}alice +7 +210 +2026-11-20 \d\d:03 +limit$/m)
  const compare = ['--compare', 'mtpolicyd/excess=hold']
  const both = await run('replay', '--set', 'mtpolicyd/threshold=100', ...compare, trace)
  t.match(both.out, /^ {2}held +0 +7$/m)
  t.notOk((out + both.out).split('\n').some(line => line.length > 79))
})

t.test('another configuration is tried with --config, and its mistakes are shown', async t => {
  const { run, write } = place(t)
  const trace = write('trace', TRACE)
  const good =
    '<VirtualHost 12345>\nname = v\n<Plugin most>\nmodule = SendingLimit\nthreshold = 20\n</Plugin>\n</VirtualHost>\n'
  const config = write('some.conf', good)
  const { out } = await run('replay', '--config', config, trace)
  t.match(out, /^Would have been refused: 10 requests of 1 account, 300 recipients\.$/m)
  t.match(out, / most$/m)

  const bad = write('bad.conf', good.replace('SendingLimit', 'SendingLimt'))
  const refused = await run('replay', '--config', bad, trace)
  t.equal(refused.status, 1)
  t.equal(refused.out, '')
  t.match(refused.err, /bad\.conf:4:10: error: there is no plugin "SendingLimt"; did you mean/)

  const wrong = write('wrong.conf', `log_level = much\n${good}`)
  t.match(await run('replay', '--config', wrong, trace), {
    status: 0,
    err: /wrong\.conf:1:\d+: error/,
  })

  const both = await run('replay', '--config', config, '--set', 'mtpolicyd/threshold=1', trace)
  t.match(both, { status: 64, err: /--config has no variables/ })
  t.match(
    await run('replay', '--config', join(config, 'none'), trace).catch(String),
    /ENOTDIR|ENOENT/,
  )
})

t.test('a configuration that was written by hand has no variables', async t => {
  const { run, write } = place(t)
  const text =
    '<VirtualHost 12345>\nname = v\n<Plugin l>\nmodule = SendingLimit\nthreshold = 20\n</Plugin>\n</VirtualHost>\n'
  write('etc/univention-mtpolicyd/mtpolicyd.conf', text)
  const trace = write('trace', TRACE)
  t.match(await run('replay', trace), { status: 0, out: /refused: 10 requests/ })
  const { status, err } = await run('replay', '--set', 'mtpolicyd/threshold=1', trace)
  t.equal(status, 1)
  t.match(err, /was written by hand, so variables have no effect; try a changed copy with --config/)
})

for (const [assignment, status, words] of [
  [
    'mtpolicyd/treshold=5',
    1,
    /treshold: nothing reads this variable; did you mean mtpolicyd\/threshold\?/,
  ],
  ['some/thing=5', 1, /some\/thing: nothing reads this variable/],
  [
    'mtpolicyd/threshold=few',
    2,
    /E: Value 'few' incompatible for 'mtpolicyd\/threshold'\n {2}mtpolicyd\/threshold: expected a whole number/,
  ],
  [
    'mtpolicyd/threshold',
    1,
    /W: Missing value for config registry variable 'mtpolicyd\/threshold'/,
  ],
  ['mtpolicyd/host=192.0.2.1', 1, /is not a loopback address: set mtpolicyd\/clients/],
] as const) {
  t.test(`--set ${assignment} is refused as set would`, async t => {
    const { run, write, root } = place(t)
    const said = await run('replay', '--set', assignment, write('trace', TRACE))
    t.match(said, { status, out: '', err: words })
    t.match(await run('replay', '--compare', assignment, join(root, 'trace')), { status })
    t.notOk(existsSync(join(root, 'etc')))
  })
}

t.test('of many damaged lines twenty are named, and the rest is counted', async t => {
  const { run, write } = place(t)
  const lines = `${message({})}${'{"t":\n'.repeat(45)}${message({ at: BEGIN + 1 })}`
  const path = write('trace', lines)
  const { status, out, err } = await run('replay', path)
  t.equal(status, 0)
  t.match(out, /^2 requests .*\.\s45\sdamaged\slines\sskipped\.$/m)
  const said = err.trimEnd().split('\n')
  t.equal(said.length, 21)
  t.equal(said[0], `${path}:2: expected a JSON object; skipped`)
  t.equal(said[20], 'and 25 more damaged lines')
})

t.test('what of a log is no request is said, with numbers', async t => {
  const { run, write } = place(t)
  const from = (login: string) => `smtpd[1]: ${login}: client=c[198.51.100.7]`
  const user = ', sasl_method=PLAIN, sasl_username=alice'
  const queued = 'from=<a@example.org>, size=449, nrcpt=3 (queue active)'
  const log = [
    from('AAAAAA1'),
    `qmgr[2]: AAAAAA1: ${queued}`,
    from('AAAAAA2') + user,
    from('NOQUEUE') + user,
    'smtpd[1]: proxy-accept: END-OF-MESSAGE: 250 2.5.0 OK (2C225C6817C7EEE1481); from=<a> to=<b> proto=ESMTP helo=<x> sasl_username=<alice>',
  ]
  const text = log.map(line => `Dec  1 11:22:15 mail postfix/${line}\n`).join('')
  const { status, out, err } = await run('replay', write('mail.log', text))
  t.equal(status, 0)
  t.equal(
    out,
    'No requests: no message of anybody who had logged in was found.\n' +
      'Left out: 1 message accepted without a login, 1 message of users refused, held\n' +
      'or cut off, 1 message of users through a filter.\n',
  )
  t.match(err, /^1 message of users went through a filter before the queue/)
  const json = await run('replay', '--json', write('mail.log', text))
  t.equal(json.out, '')
  t.match(json.err, /^1 message of users went through a filter before the queue/)
})

t.test('lines that grep has picked out of a log are known for what they are', async t => {
  const { run, write } = place(t)
  const line =
    'Dec  1 11:22:15 mail postfix/smtpd[1]: AAAAAA1: client=c[198.51.100.7], sasl_method=PLAIN, sasl_username=alice\n'
  const { out } = await run('replay', write('mail.log', line))
  t.match(out, /^There is no line of the queue manager \(nrcpt=\) in it/m)
})

t.test('who sent most is shown also where nobody would have been refused', async t => {
  const { run, write } = place(t)
  const { out } = await run(
    'replay',
    '--set',
    'mtpolicyd/threshold=unlimited',
    write('trace', TRACE),
  )
  t.match(out, 'Nothing would have been refused.')
  t.match(
    out,
    /^ {2}SENT MOST +RECIPIENTS +IN A DAY +IN AN HOUR\n {2}alice +300 +300 +300\n {2}bob +1 +1 +1$/m,
  )
  const long = 'a'.repeat(300)
  const named = await run('replay', write('trace', message({ user: `\u001b[31m${long}` })))
  t.notMatch(named.out, '\u001b')
  t.notOk(named.out.split('\n').some(line => line.length > 79))
})

t.test('where nothing can be read the status is 1', async t => {
  const { run, write, root } = place(t)
  for (const text of ['', '\0\x01\x02', 'a letter\nto nobody\n']) {
    const { status, out, err } = await run('replay', write('file', text))
    t.equal(status, 1, JSON.stringify(text))
    t.equal(out, '')
    t.match(err, /nothing to read: neither a trace nor a log of Postfix/)
  }
  t.match(await run('replay', join(root, 'none')), { status: 1, err: /none: ENOENT: no such file/ })
  t.match(await run('replay'), { status: 64 })
})

t.test('records that are out of order are mentioned once', async t => {
  const { run, write } = place(t)
  const times = [0, 10, 9.5, 0, 20, 1].map(minutes => message({ at: BEGIN + minutes * MINUTE }))
  const { status, err } = await run('replay', write('trace', times.join('')))
  t.equal(status, 0)
  t.equal(err, 'The records are not in the order of their times: one is 10 min late.\n')
})

t.test('names from a log do not control the terminal', async t => {
  const { run, write } = place(t)
  const trace = message({ user: `eve\u001b[2J\u202e${'x'.repeat(200)}`, recipients: 2000 })
  const { out } = await run('replay', write('trace', trace))
  t.notMatch(out, '\u001b')
  t.ok(
    out.split('\n').every(line => line.length <= 79),
    out,
  )
})

t.test('progress is shown on a terminal only', async t => {
  const { run, write } = place(t, true)
  const { out, err } = await run('replay', write('trace', TRACE))
  t.notMatch(out, '\r')
  t.match(err.replaceAll('\r\u001b[K', '|'), /^\|.*\d+ requests, [\d,]+\/s/)
  t.ok(err.endsWith('\r\u001b[K'), 'and wiped away')
})
