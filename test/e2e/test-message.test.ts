/** `test-message`: a real mail through a real Postfix, and what is shown of it. */

import { execFileSync } from 'node:child_process'
import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { dist } from '../support/daemon.ts'
import { postfixRigMissing } from '../support/postfix-rig.ts'
import { fits, startTestMessages as start } from '../support/test-messages.ts'

const skip = postfixRigMissing()
const CHINESE = '223.5.5.5'

t.test('mail of a user, with a password', { skip }, async t => {
  const { rig, daemon, send, json } = await start(t, { 'mtpolicyd/threshold': '4' })

  t.test('that gets through is shown with its request, its answer and its log lines', async t => {
    const shown = send('secret\n', '--user', 'alice')
    t.match(shown, { status: 0, stderr: '' })
    fits(t, shown)
    t.match(shown.stdout, /^ACCEPTED\. .*:\n {2}250 2\.0\.0 Ok: queued as (\w+)$/m)
    t.match(shown.stdout, /^ {2}sasl_username=alice$/m)
    t.match(shown.stdout, /^Answer of the daemon:\n {2}dunno\n/m)
    t.match(shown.stdout, /status=sent/)
    t.match(shown.stdout, 'TLS, certificate not verified')
    t.notMatch(shown.stdout + rig.log() + daemon.log(), /secret|AGFsaWNl/)
  })

  t.test('is shown to programs', async t => {
    const shown = json('secret', '--user', 'alice', '--port', String(rig.ports.smtps))
    t.match(shown, {
      outcome: 'accepted',
      problem: '',
      address: `127.0.0.1:${rig.ports.smtps}`,
      encrypted: true,
      user: 'alice',
      client: '127.0.0.1',
      sender: 'alice@mail.example.org',
      recipient: 'alice@mail.example.org',
      requests: [{ answer: 'dunno', by: '', code: '', why: '', observed: '' }],
    })
    t.equal(shown.requests.length, 1)
    t.match(shown.requests[0].attributes, {
      protocol_state: 'END-OF-MESSAGE',
      recipient_count: '1',
      queue_id: shown.queueId,
    })
    t.match(shown.log.lines.join('\n'), `${shown.queueId}: client=`)
    t.match(shown.dialogue.at(-1), { command: 'the message', code: 250 })
  })

  t.test('is counted, and refused beyond the limit', async t => {
    for (const password of ['secret', 'secret\nmore']) send(password, '--user', 'alice')
    const shown = send('secret\n', '--user', 'alice', '--to', 'bob@example.net')
    t.equal(shown.status, 1)
    fits(t, shown)
    t.match(shown.stdout, /^Mail from alice@mail\.example\.org to bob@example\.net$/m)
    t.match(shown.stdout, /^REFUSED by the daemon, at the end of the message:\n {2}55\d 5\.7\.1 /m)
    t.match(shown.stdout, /^Answer of the daemon:\n {2}reject 5\.7\.1 /m)
    t.match(shown.stdout, /\(decided by limit, /)
    t.match(shown.stdout, /reject:\s+END-OF-MESSAGE from/)
    t.equal(json('secret', '--user', 'alice').refusedBy, 'daemon')
  })

  t.test('is refused by Postfix itself, and that is told apart', async t => {
    const shown = send('secret\n', '--user', 'bob', '--to', 'nobody@')
    t.equal(shown.status, 1)
    t.match(shown.stdout, /^REFUSED by Postfix, at RCPT; the daemon had no part in it:$/m)
    t.match(shown.stdout, 'No request arrived at the daemon.')
  })

  t.test('is not sent with a wrong password, from wherever that comes', async t => {
    const shown = send('wrong\n', '--user', 'bob')
    t.equal(shown.status, 1)
    fits(t, shown)
    t.match(shown.stdout, /^NOT SENT: the password is wrong, or SASL is not set up/m)
    t.match(shown.stdout, /^ {2}535 5\.7\.8 /m)
    t.match(shown.stdout, /SASL PLAIN\s+authentication failed/)
    const file = join(daemon.root, 'password')
    writeFileSync(file, 'secret\r\n')
    t.equal(json('', '--user', 'bob', '--password-file', file).outcome, 'accepted')
    t.match(send('', '--user', 'bob'), { status: 1, stderr: /: expected a password\n$/ })
    t.match(send('', '--user', 'bob', '--password-file', `${file}.no`), {
      status: 1,
      stderr: /ENOENT/,
    })
  })

  t.test('asks for the password on a terminal, which does not show it', async t => {
    if (!existsSync('/usr/bin/script')) return t.pass('', { skip: 'script(1) is not installed' })
    const argv = `--root ${daemon.root} test-message --config-dir ${rig.configDirectory}`
    const command = `${join(dist, 'mtpolicyctl')} ${argv} --user bob`
    const input = '(sleep 2; echo secret; sleep 8) | '
    const shown = execFileSync(
      'sh',
      ['-c', `${input} script --quiet --return --command '${command}' /dev/null`],
      { encoding: 'utf8' },
    )
    t.match(shown, /Password of bob: /)
    t.match(shown, 'ACCEPTED.')
    t.notMatch(shown.slice(shown.indexOf('Password of bob')), /secret/)
  })

  t.test('is only one of a user, through a service where users log in', async t => {
    for (const [argv, message] of [
      [[], /expected --user NAME/],
      [['--user', 'a', '--client', CHINESE], /--client needs --xclient/],
      [['--user', 'a', '--xclient', '--client', 'here'], /expected an IP address, found "here"/],
      [['--user', 'a', '--port', 'smtp'], /--port: expected a number, found "smtp"/],
    ] as const) {
      t.match(send('', ...argv), { status: 64, stdout: '', stderr: message })
    }
    t.match(send('secret', '--user', 'bob', '--port', String(rig.ports.smtp)), {
      status: 1,
      stderr: /nobody can log in at port/,
    })
  })

  t.test('is sent also if the log cannot be read', async t => {
    const log = join(rig.directory, 'mail.log')
    renameSync(log, `${log}.old`)
    const shown = json('secret', '--user', 'bob')
    renameSync(`${log}.old`, log)
    t.equal(shown.outcome, 'accepted')
    t.match(shown.log, { source: log, lines: [], problem: /no such file/ })
  })

  t.test('does not reach a Postfix that is not there', async t => {
    await rig.stop()
    const shown = send('secret\n', '--user', 'bob')
    t.equal(shown.status, 1)
    t.match(shown.stdout, /^NOT SENT: nothing answers at 127\.0\.0\.1:\d+ /m)
    t.notMatch(shown.stdout, /ACCEPTED|Logged/)
    const empty = t.testdir({})
    const none = await daemon.ctl('test-message', '--user', 'bob', '--config-dir', empty)
    t.match(none, { status: 1, stderr: /no usable configuration in .*: there is no main\.cf/ })
    await daemon.stop()
    t.match(send('secret\n', '--user', 'bob'), {
      status: 1,
      stderr: 'mtpolicyctl: the daemon is not running\n',
    })
  })
})
