/** What an administrator types, against the real programs. */

import { execFile, spawn } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { JOURNAL_FILE_BYTES } from '../../daemon/ledger/journal-files.ts'
import { askPort, dist, freePort, installDaemon, runProgram } from '../support/daemon.ts'
import { policyClient } from '../support/policy-client.ts'

const LIMITED = {
  request: 'smtpd_access_policy',
  protocol_state: 'END-OF-MESSAGE',
  client_address: '193.99.144.80',
  sasl_username: 'alice',
}
const message = (instance: string, recipients: number, sasl_username = 'alice') => ({
  ...LIMITED,
  sasl_username,
  instance,
  recipient_count: String(recipients),
})

/** A daemon whose configuration is written by hand: one plugin, which says `action`. */
async function startHandWritten(t: Test, action: string) {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const conf = join(daemon.root, 'etc/univention-mtpolicyd/mtpolicyd.conf')
  const { port } = daemon
  const text = `port = "127.0.0.1:${port}"\n<VirtualHost ${port}>\n  name = "mine"\n  <Plugin all>\n    module = "Action"\n    action = "${action}"\n  </Plugin>\n</VirtualHost>\n`
  writeFileSync(conf, text)
  await daemon.start()
  return { daemon, conf, text }
}

/** What is tried again until it holds, for as long as an administrator would wait. */
async function eventually(what: () => boolean | Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 1000; tries++) {
    if (await what()) return true
    await sleep(25)
  }
  return false
}

t.test('status says what is well and what is not, and by its exit status too', async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const before = await daemon.ctl('status')
  t.equal(before.status, 1)
  t.match(before.stdout, /^BAD {3}daemon +not running$/m)

  await daemon.start()
  await askPort(daemon.port, message('a', 1))
  const { stdout } = await daemon.ctl('status')
  t.match(stdout, /^ok {4}daemon +running since /m)
  t.match(stdout, /^ok {4}counts +ok\s/m)
  t.match(stdout, /^ok {4}requests +1, 0 refused, 0 failed$/m)
  t.match(stdout, /^(ok {4}|BAD {3})GeoIP +data of \d{4}-\d\d-\d\d, \d+ days old$/m)
  t.match(stdout, /^(ok {4}|BAD {3})Postfix /m)

  const json = JSON.parse((await daemon.ctl('status', '--json')).stdout)
  t.equal(json.daemon.pid, daemon.pid)
  t.match(json.daemon.plugins, [
    { plugin: 'default/countries', runs: 1, failures: 0 },
    { plugin: 'default/limit', runs: 1, failures: 0 },
  ])
})

t.test('--json prints what the manual says, for every command that answers', async t => {
  const { commands } = await import('../../daemon/cli/commands.ts')
  const daemon = await installDaemon({ 'mtpolicyd/alert/command': '/bin/true' })
  t.teardown(() => daemon.remove())
  await daemon.start()
  const operands: Readonly<Record<string, readonly string[]>> = {
    explain: ['--user', 'alice'],
    block: ['alice'],
    release: ['alice'],
    allow: ['alice', '--countries', 'ES', '--until', '+1d'],
    limit: ['alice', '5', '--until', '+1d'],
    reset: ['alice'],
    forget: ['nobody'],
    get: ['mtpolicyd/port'],
    info: ['mtpolicyd/port'],
    search: ['mtpolicyd/port'],
    user: ['alice'],
    'web token': ['list'],
    suggest: [join(import.meta.dirname, '../fixtures/maillog/postfix-3.7.log')],
  }
  for (const { name, json = '' } of commands) {
    const members = /\{(.*?)\}/.exec(json)?.[1]?.split(', ')
    // Two print line by line without an end, and why needs a refusal; they have tests of their own.
    if (members === undefined || ['watch', 'replay', 'why'].includes(name)) continue
    const argv = [...name.split(' '), ...(operands[name] ?? []), '--json']
    const { stdout, stderr } = await daemon.ctl(...argv)
    const value: unknown = JSON.parse(stdout)
    t.equal(stderr, '', name)
    if (json.trimStart().startsWith('an array')) t.ok(Array.isArray(value), name)
    else if (members[0] === 'NAME') t.match(value, { 'mtpolicyd/port': /\S/ }, name)
    else
      t.ok(
        Object.keys(value ?? {}).every(key => members.includes(key)),
        `${name}: ${stdout}`,
      )
  }
})

t.test('a changed variable takes effect on connections that are open', async t => {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '5' })
  t.teardown(() => daemon.remove())
  await daemon.start()
  const socket = createConnection(daemon.port, '127.0.0.1')
  socket.setEncoding('utf8')
  t.teardown(() => socket.destroy())
  const ask = (attributes: Readonly<Record<string, string>>): Promise<string> =>
    new Promise(resolve => {
      socket.once('data', (data: string) => resolve(data.trimEnd()))
      const lines = Object.entries(attributes).map(([name, value]) => `${name}=${value}\n`)
      socket.write(`${lines.join('')}\n`)
    })
  t.equal(await ask(message('a', 5)), 'action=dunno')
  t.match(await ask(message('b', 1)), /^action=reject .*Daily limit of 5 recipients reached/)
  t.equal((await daemon.ctl('set', 'mtpolicyd/threshold=8')).status, 0)
  t.equal(await ask(message('c', 3)), 'action=dunno')

  t.test('and a new port leaves them served, while the old one is gone', async t => {
    const port = await freePort()
    t.equal((await daemon.ctl('set', `mtpolicyd/port=${port}`)).status, 0)
    t.match(await ask(message('d', 1)), /^action=reject .*8 recipients/)
    t.match(await askPort(port, message('e', 1)), /^action=reject /)
    await t.rejects(askPort(daemon.port, message('f', 1)), { code: 'ECONNREFUSED' })
  })
})

t.test('one user may have another limit and other countries', async t => {
  const daemon = await installDaemon({
    'mtpolicyd/threshold': '2',
    'mtpolicyd/user/newsletter/threshold': 'unlimited',
    'mtpolicyd/user/traveller/allowedcountries': 'de, cn',
  })
  t.teardown(() => daemon.remove())
  await daemon.start()
  t.equal(await askPort(daemon.port, message('a', 900, 'NewsLetter')), 'action=dunno')
  t.match(await askPort(daemon.port, message('b', 3)), /^action=reject /)
  const far = { client_address: '223.5.5.5' }
  t.match(await askPort(daemon.port, { ...message('c', 1), ...far }), /\(CN, 223\.5\.5\.5\)/)
  t.equal(await askPort(daemon.port, { ...message('d', 1, 'traveller'), ...far }), 'action=dunno')
})

t.test('watch shows verdicts as they are given, and only those that are wanted', async t => {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '2', 'mtpolicyd/debug': '0' })
  t.teardown(() => daemon.remove())
  const away = await daemon.ctl('watch')
  t.equal(away.status, 1)
  t.match(away.stderr, /no daemon listens/)
  await daemon.start()
  const watching = (...argv: string[]): { text: () => string } => {
    const child = spawn(join(dist, 'mtpolicyctl'), ['--root', daemon.root, 'watch', ...argv])
    t.teardown(() => child.kill())
    let text = ''
    child.stdout.on('data', chunk => {
      text += chunk
    })
    return { text: () => text }
  }
  const all = watching()
  const ofBob = watching('--user', 'bob', '--json')
  const said = await eventually(async () => {
    await askPort(daemon.port, message('first', 1, 'bob'))
    return all.text() !== '' && ofBob.text() !== ''
  })
  t.ok(said)
  await askPort(daemon.port, message('b', 3, 'eve'))
  await askPort(daemon.port, message('c', 3, 'bob'))
  t.ok(await eventually(() => /instance=c/.test(all.text()) && /"c"/.test(ofBob.text())))
  t.match(all.text(), /^instance=b user=eve .* verdict="reject 5\.7\.1 .* used=0 limit=2 ms=/m)
  const lines = ofBob.text().trimEnd().split('\n')
  t.match(JSON.parse(lines.at(-1) ?? ''), { instance: 'c', user: 'bob', by: 'limit' })
  t.ok(lines.every(line => JSON.parse(line).user === 'bob'))
  t.equal(daemon.log().match(/verdict=/g), null, 'whatever is logged')
})

t.test('in observe mode everything is counted and logged, and nothing refused', async t => {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '2', 'mtpolicyd/mode': 'observe' })
  t.teardown(() => daemon.remove())
  await daemon.start()
  t.equal(await askPort(daemon.port, message('a', 3)), 'action=dunno')
  const far = { ...message('b', 1), client_address: '223.5.5.5' }
  t.equal(await askPort(daemon.port, far), 'action=dunno')
  t.ok(await daemon.logged(/observed="reject .*\(CN,.*used=4 limit=2/))
  t.match(
    daemon.log(),
    /verdict=dunno observed="reject 5\.7\.1 (?:Daily limit of 2 recipients reached|This message has 3 recipients).*used=3 limit=2/,
  )
})

t.test('a broken configuration is refused at reload, and the old one answers on', async t => {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '5' })
  t.teardown(() => daemon.remove())
  await daemon.start()
  const conf = join(daemon.root, 'etc/univention-mtpolicyd/mtpolicyd.conf')
  renameSync(conf, `${conf}.good`)
  writeFileSync(conf, '# by hand\n<VirtualHost 1>\n  <Plugin a>\n    module = "Actoin"\n')
  const reload = await daemon.ctl('reload')
  t.equal(reload.status, 1)
  t.match(
    reload.stderr,
    /mtpolicyd\.conf:4:14: error: there is no plugin "Actoin"; did you mean "Action"/,
  )
  t.match(reload.stderr, /The old configuration stays in use/)
  t.equal(await askPort(daemon.port, message('a', 5)), 'action=dunno')
  t.match(await askPort(daemon.port, message('b', 1)), /^action=reject/)

  const check = await daemon.ctl('check')
  t.equal(check.status, 1)
  t.match(check.stderr, /:4:14: error: .*\n[\s\S]*\d errors, 0 warnings\n$/)
})

t.test(
  'a hand-written configuration is used, kept, and status says the variables rest',
  async t => {
    const { daemon, conf, text } = await startHandWritten(t, 'reject by hand')
    t.equal(await askPort(daemon.port, message('a', 1)), 'action=reject by hand')
    const set = await daemon.ctl('set', 'mtpolicyd/threshold=7')
    t.equal(set.status, 0)
    t.match(set.stderr, /^W: .*mtpolicyd\.conf/)
    t.equal(readFileSync(conf, 'utf8'), text)
    t.match((await daemon.ctl('status')).stdout, /hand-written/)
  },
)

t.test('the durability of a reload holds for the next mail, and counts go on', async t => {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '3' })
  t.teardown(() => daemon.remove())
  await daemon.start()
  t.equal(await askPort(daemon.port, message('a', 1)), 'action=dunno')
  const { path } = JSON.parse((await daemon.ctl('status', '--json')).stdout).daemon.store
  const journal = path.replace(/sqlite$/, 'journal-0')
  t.ok(statSync(journal).size < JOURNAL_FILE_BYTES)
  t.equal((await daemon.ctl('set', 'mtpolicyd/durability=full')).status, 0)
  t.equal(await askPort(daemon.port, message('b', 1)), 'action=dunno')
  t.equal(statSync(journal).size, JOURNAL_FILE_BYTES, 'blocks for fdatasync(2) to go into')
  t.equal((await daemon.ctl('set', 'mtpolicyd/durability=normal')).status, 0)
  t.equal(await askPort(daemon.port, message('c', 1)), 'action=dunno')
  t.match(await askPort(daemon.port, message('d', 1)), /^action=reject /)
})

t.test('max_keepalive of a reload holds for connections that are open', async t => {
  const { daemon, conf, text } = await startHandWritten(t, 'dunno')
  const postfix = await policyClient({ port: daemon.port })
  t.teardown(() => postfix.close())
  const ask = (): Promise<string> => {
    postfix.send('request=smtpd_access_policy\nprotocol_state=RCPT\n\n')
    return postfix.answer()
  }
  t.equal(await ask(), 'action=dunno')
  t.equal(await ask(), 'action=dunno')
  writeFileSync(conf, `max_keepalive = 3\n${text}`)
  t.equal((await daemon.ctl('reload')).status, 0)
  t.equal(await ask(), 'action=dunno')
  await postfix.ended
  t.pass('closed after the third')
})

t.test('the environment is the top layer, and is never written down', async t => {
  const daemon = await installDaemon({ 'mtpolicyd/threshold': '5' })
  t.teardown(() => daemon.remove())
  process.env.MTPOLICYD_THRESHOLD = '1'
  try {
    await daemon.start()
  } finally {
    delete process.env.MTPOLICYD_THRESHOLD
  }
  t.match(await askPort(daemon.port, message('a', 2)), /only 1 of your 1 for today is left/)
  const conf = join(daemon.root, 'etc/univention-mtpolicyd/mtpolicyd.conf')
  t.match(readFileSync(conf, 'utf8'), /^ *threshold = 5$/m)
})

t.test('signals: HUP reloads, TERM answers and ends with 0, the rest does no harm', async t => {
  const daemon = await installDaemon({ 'mtpolicyd/debug': '2' })
  t.teardown(() => daemon.remove())
  await daemon.start()
  const { pid } = daemon
  if (pid === undefined) throw new Error('no process')
  for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGTTIN'] as const) process.kill(pid, signal)
  process.kill(pid, 'SIGHUP')
  t.ok(await daemon.logged(/reloaded/))
  t.equal(await askPort(daemon.port, message('a', 1)), 'action=dunno')
  t.equal(await daemon.stop(), 0)
})

t.test('without -f it goes to the background once it listens; a second one is refused', async t => {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const started = await runProgram(join(dist, 'mtpolicyd'), '--root', daemon.root)
  t.equal(started.status, 0, started.stderr)
  const status = JSON.parse((await daemon.ctl('status', '--json')).stdout)
  t.equal(await askPort(daemon.port, message('a', 1)), 'action=dunno')
  const second = await runProgram(join(dist, 'mtpolicyd'), '--root', daemon.root, '-f')
  t.equal(second.status, 1)
  t.match(second.stderr, /in use by another daemon/)
  process.kill(status.daemon.pid, 'SIGTERM')
  t.ok(await eventually(async () => (await daemon.ctl('status')).stdout.includes('not running')))
})

t.test('with -c neither state nor control socket is opened, unless the file counts', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'mtpolicyd-c-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const port = await freePort()
  const conf = join(folder, 'a.conf')
  writeFileSync(
    conf,
    `port = "127.0.0.1:${port}"\npid_file = "${folder}/pid"\n<VirtualHost ${port}>\n  name = "a"\n  <Plugin a>\n    module = "Action"\n    action = "dunno"\n  </Plugin>\n</VirtualHost>\n`,
  )
  const child = execFile(join(dist, 'mtpolicyd'), ['--root', folder, '-f', '-c', conf])
  t.ok(await eventually(() => existsSync(join(folder, 'pid'))))
  t.equal(readFileSync(join(folder, 'pid'), 'utf8').trim(), String(child.pid))
  t.equal(await askPort(port, message('a', 1)), 'action=dunno')
  t.notOk(existsSync(join(folder, 'var')))
  t.notOk(existsSync(join(folder, 'run')))
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  t.equal(await ended, 0)
  t.notOk(existsSync(join(folder, 'pid')))
})

t.test('wrong calls are told from wrong values', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'mtpolicyd-64-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const ctl = (...argv: string[]) =>
    runProgram(join(dist, 'mtpolicyctl'), '--root', folder, ...argv)
  t.match(await ctl('bogus'), { status: 64, stderr: /unknown command "bogus"/ })
  t.match(await ctl('status', '--bogus'), { status: 64 })
  t.match(await ctl('postfix', 'bogus'), { status: 64 })
  t.match(await ctl('set', 'mtpolicyd/threshold=many'), { status: 2 })
  t.match(await ctl('set', 'mtpolicyd/host=0.0.0.0'), { status: 1, stderr: /mtpolicyd\/clients/ })
  t.match(await ctl('get', 'mtpolicyd/threshold'), { status: 0, stdout: '1000\n' })
  t.match(await ctl('--json', 'get', 'mtpolicyd/port'), { status: 0, stdout: /"12345"/ })
  for (const program of ['mtpolicyd', 'mtpolicyctl', 'policyd-client']) {
    const help = await runProgram(join(dist, program), '--help')
    t.equal(help.status, 0)
    const widest = Math.max(...help.stdout.split('\n').map(line => line.length))
    t.ok(widest <= 80, `${program} --help fits a terminal (${widest})`)
  }
})
