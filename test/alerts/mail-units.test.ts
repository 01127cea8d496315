/** Alerts by mail beside the daemon's sandbox: the units, the folder between them, and the commands. */

import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  outgoingFolder,
  outgoingOutcome,
  outgoingProblem,
  putOutgoing,
  sendOutgoing,
} from '../../daemon/alerts/delivery/outgoing.ts'
import { postOf } from '../../daemon/alerts/delivery/post.ts'
import { mayGainPrivileges } from '../../daemon/alerts/delivery/sendmail.ts'
import { signature } from '../../daemon/alerts/delivery/signature.ts'
import { surroundingsOf } from '../support/alerts.ts'
import { runCommand } from '../support/command.ts'

const debian = join(import.meta.dirname, '../../debian')
const NAME = 'univention-mtpolicyd'
const unit = (file: string): string => readFileSync(join(debian, file), 'utf8')
const MAIL = { from: 'root+x@example.org', to: 'root', message: 'Subject: x\n\ntext\n' }
/** systemd.exec(5), NoNewPrivileges=: what implies it for a service with User=. */
const IMPLY = [
  ...['SystemCallFilter', 'SystemCallLog', 'SystemCallArchitectures', 'RestrictAddressFamilies'],
  ...['RestrictNamespaces', 'PrivateDevices', 'ProtectKernelTunables', 'ProtectKernelModules'],
  ...['ProtectKernelLogs', 'ProtectClock', 'MemoryDenyWriteExecute', 'RestrictRealtime'],
  ...[
    'RestrictSUIDSGID',
    'DynamicUser',
    'LockPersonality',
    'ProtectHostname',
    'RestrictFileSystems',
  ],
]

/** A root whose sendmail(1) is a shell script; its folder has what the script writes. */
function rootWith(t: Test, script: string): string {
  const root = t.testdir({})
  mkdirSync(join(root, 'usr/sbin'), { recursive: true })
  const program = join(root, 'usr/sbin/sendmail')
  writeFileSync(program, `#!/bin/sh\ncd '${root}' || exit 9\n${script}\n`)
  chmodSync(program, 0o755)
  return root
}

const stateOf = (root: string): string => join(root, 'var/lib', NAME)

async function run(root: string, ...words: string[]) {
  let [out, err] = ['', '']
  const status = await runCommand(words, {
    root,
    out: text => {
      out += text
    },
    err: text => {
      err += text
    },
    askPassword: async () => 'tk_geheim',
  })
  return { status, out, err }
}

t.test('the service that sends mails may gain the rights of sendmail(1)', async t => {
  const service = unit(`${NAME}.${NAME}-mail.service`)
  for (const option of IMPLY) t.notMatch(service, new RegExp(`^${option}=`, 'm'), option)
  t.match(service, /^NoNewPrivileges=no$/m)
  t.notMatch(service, /^(?:CapabilityBoundingSet|ProtectSystem=strict|StateDirectory)/m)
  t.match(service, `\nUser=${NAME}\n`)
  t.match(service, '\nExecStart=/usr/sbin/mtpolicyctl alert deliver\n')
  t.match(service, /^Restart=on-failure\nRestartSec=60$/m)
  t.match(service, /^StartLimitIntervalSec=0$/m)
  t.match(unit(`${NAME}.service`), /^NoNewPrivileges=yes$/m, 'the daemon may not')
})

t.test('the path unit watches the folder, and the package installs both', async t => {
  const path = unit(`${NAME}.${NAME}-mail.path`)
  t.match(path, `\nDirectoryNotEmpty=${outgoingFolder(`/var/lib/${NAME}`)}\n`)
  t.match(path, `\nUnit=${NAME}-mail.service\n`)
  t.match(path, /^WantedBy=multi-user.target$/m)
  const rules = unit('rules')
  t.match(rules, 'dh_installsystemd --name=$(NAME)-mail $(NAME)-mail.path\n')
  t.match(rules, '--no-enable --no-start $(NAME)-mail.service\n')
  t.match(unit(`${NAME}.postrm`), / outgoing\)/, 'a purge deletes them')
})

const analyze = spawnSync('systemd-analyze', ['--version']).status === 0
t.test('systemd understands them', { skip: analyze ? false : 'no systemd' }, async t => {
  const files = [`${NAME}-mail.path`, `${NAME}-mail.service`]
  const folder = t.testdir(
    Object.fromEntries(
      files.map(file => [
        file,
        // The program is not installed here.
        unit(`${NAME}.${file}`).replace('/usr/sbin/mtpolicyctl', '/bin/true'),
      ]),
    ),
  )
  const { stderr, status } = spawnSync(
    'systemd-analyze',
    ['verify', ...files.map(file => join(folder, file))],
    { encoding: 'utf8' },
  )
  t.strictSame([status, stderr.split('\n').filter(line => line.includes('-mail.'))], [0, []])
})

const setpriv = spawnSync('setpriv', ['--version']).status === 0
t.test('a process knows whether it may', { skip: setpriv ? false : 'no setpriv' }, async t => {
  const status = join(t.testdir({}), 'status')
  for (const [flags, may] of [
    [['--no-new-privs'], false],
    [[], true],
  ] as const) {
    writeFileSync(status, execFileSync('setpriv', [...flags, 'cat', '/proc/self/status']))
    t.equal(mayGainPrivileges(status), may)
  }
  t.equal(mayGainPrivileges('/nonexistent'), true)
})

t.test('alert deliver sends what waits, with its envelope, and deletes it', async t => {
  const root = rootWith(t, 'echo "$@" >> calls; cat >> mails')
  const state = stateOf(root)
  t.strictSame(
    await run(root, 'alert', 'deliver'),
    { status: 0, out: '', err: '' },
    'nothing waits',
  )
  await putOutgoing(state, '1', MAIL)
  await putOutgoing(state, '2', { ...MAIL, from: '', to: '-o x@example.org' })
  await putOutgoing(state, '../../evil\n', { ...MAIL, message: 'third\n' })
  writeFileSync(join(outgoingFolder(state), '.half'), 'x')
  t.strictSame(await run(root, 'alert', 'deliver'), { status: 0, out: '', err: '' })
  t.strictSame(
    readFileSync(join(root, 'calls'), 'utf8').split('\n'),
    [
      '-i -f root+x@example.org -- root',
      '-i -f root+x@example.org -- root',
      '-i -f <> -- "-o x"@example.org',
      '',
    ].toSorted((a, b) => Number(a === '') - Number(b === '')),
  )
  t.match(readFileSync(join(root, 'mails'), 'utf8'), MAIL.message)
  t.strictSame(readdirSync(outgoingFolder(state)), ['.half'], 'what is being written stays')
})

t.test('what cannot be sent stays, and the unit tries again', async t => {
  const root = rootWith(
    t,
    'case "$*" in *later*) echo "queue full" >&2; exit 75;; *never*) exit 67;; esac; cat >> mails',
  )
  const state = stateOf(root)
  const folder = outgoingFolder(state)
  await putOutgoing(state, '1', { ...MAIL, to: 'later@example.org' })
  await putOutgoing(state, '2', MAIL)
  await putOutgoing(state, '3', { ...MAIL, to: 'never@example.org' })
  writeFileSync(join(folder, '4.mail'), 'not one of ours\n')
  writeFileSync(join(folder, '5.mail'), '{"from":"x"}\nneither\n')
  writeFileSync(join(folder, '6.mail'), `{"from":"","to":"root"}\n${'x'.repeat(2 ** 20)}`)
  const { status, err } = await run(root, 'alert', 'deliver')
  t.equal(status, 75)
  t.match(err, /^mtpolicyctl: given up: 3\.mail: \S+sendmail: exit status 67$/m)
  t.equal(err.match(/\.mail: it is not one of our mails$/gm)?.length, 3)
  t.match(err, /^mtpolicyctl: 1 not sent yet: 1\.mail: \S+sendmail: exit status 75: queue full$/m)
  t.strictSame(readdirSync(folder), ['.notes', '1.mail'])
  const old = new Date(Date.now() - 86_500_000)
  utimesSync(join(folder, '1.mail'), old, old)
  const late = await run(root, 'alert', 'deliver')
  t.match(late, { status: 0, err: /given up: 1\.mail: .*queue full/ }, 'a day old')
  t.strictSame(readdirSync(folder), ['.notes'])
})

t.test('a test of the alerts is ok only when its mail has left', async t => {
  const { signal } = new AbortController()
  const root = rootWith(
    t,
    'case "$*" in *later*) echo "queue full" >&2; exit 75;; *never*) exit 67;; esac; cat >> mails',
  )
  const state = stateOf(root)
  const ask = async (to: string, isSent = true, patience = 5000) => {
    const name = `1796123973441-1-${to}`
    await putOutgoing(state, name, { ...MAIL, to })
    const asked = outgoingOutcome(state, name, signal, patience)
    if (isSent) await run(root, 'alert', 'deliver')
    return await asked
  }
  t.strictSame(await ask('root'), { is: 'done' })
  t.match(await ask('never@example.org'), { is: 'refused', why: /exit status 67$/ })
  t.match(outgoingProblem(state, Date.now()), /^a mail was given up: .*exit status 67$/)
  t.match(await ask('root', false, 200), {
    is: 'later',
    why: /it waits in \S+outgoing; see systemctl status univention-mtpolicyd-mail\.path$/,
  })
  t.match(await ask('later@example.org'), { is: 'later', why: /outgoing: .*queue full$/ })
  t.equal(outgoingProblem(state, Date.now()), undefined, 'a minute is not long')
  t.match(outgoingProblem(state, Date.now() + 120_000), /waiting for 2 min; .*queue full$/)
  t.match(await ask('root', false, 200), { is: 'later', why: /queue full$/ }, 'the last reason')
})

t.test('what waits there is not delivered yet, for status and metrics as well', async t => {
  const root = rootWith(t, 'exit 75')
  const surroundings = surroundingsOf(root)
  const { state } = surroundings
  const post = postOf({ sender: '' }, surroundings, false)
  t.strictSame(post.held(false), { count: 0, oldest: undefined })
  const old = new Date(Date.now() - 3_600_000)
  for (const name of ['1-1-root', '1-2.user-root', '1-3-root']) await putOutgoing(state, name, MAIL)
  utimesSync(join(outgoingFolder(state), '1-3-root.mail'), old, old)
  t.strictSame(post.held(false), { count: 2, oldest: old.getTime() })
  t.match(post.held(true), { count: 1 })
})

t.test('what was given up is told until mail leaves again, or for a day', async t => {
  const state = stateOf(t.testdir({}))
  const send = async (outcome: 'done' | 'refused') => {
    await putOutgoing(state, '1', MAIL)
    const answer =
      outcome === 'done' ? { is: outcome } : ({ is: outcome, why: 'no such user' } as const)
    await sendOutgoing(state, Date.now, async () => answer)
    return outgoingProblem(state, Date.now())
  }
  t.equal(await send('refused'), 'a mail was given up: no such user')
  t.equal(outgoingProblem(state, Date.now() + 86_500_000), undefined)
  await sendOutgoing(state, Date.now, async () => ({ is: 'done' }))
  t.equal(
    outgoingProblem(state, Date.now()),
    'a mail was given up: no such user',
    'nothing was sent',
  )
  t.equal(await send('done'), undefined)
  t.strictSame(readdirSync(outgoingFolder(state)), [])
  writeFileSync(join(outgoingFolder(state), '.notes'), '{"at":"x","waiting":[1,["a"]],"givenUp":7}')
  t.equal(outgoingProblem(state, Date.now()), undefined, 'not ours')
})

t.test('mails that come while others are sent are sent as well', async t => {
  const state = stateOf(t.testdir({}))
  await putOutgoing(state, '1', MAIL)
  let calls = 0
  const { sent } = await sendOutgoing(state, Date.now, async () => {
    if (calls++ < 3) await putOutgoing(state, `more-${calls}`, MAIL)
    return { is: 'done' }
  })
  t.equal(sent, 4)
})

t.test('a thousand wait, further ones stay in the outbox', async t => {
  const state = stateOf(t.testdir({}))
  await putOutgoing(state, '0', MAIL)
  for (let at = 1; at < 1000; at++) writeFileSync(join(outgoingFolder(state), `${at}.mail`), '')
  t.match(await putOutgoing(state, 'x', MAIL), {
    is: 'later',
    why: /^1000 mails wait in \S+\/outgoing; see systemctl status univention-mtpolicyd-mail$/,
  })
})

t.test('alert secret makes a secret once, and another one beside it', async t => {
  const root = t.testdir({})
  const file = join(root, 'etc', NAME, 'webhook.secret')
  const first = await run(root, 'alert', 'secret')
  t.match(first, { status: 0, out: /^[0-9a-f]{64}\n$/, err: '' })
  t.equal(statSync(file).mode & 0o777, 0o640)
  t.strictSame(await run(root, 'alert', 'secret'), first, 'the same')
  const second = await run(root, 'alert', 'secret', '--new')
  t.not(second.out, first.out)
  t.equal(readFileSync(file, 'utf8'), second.out + first.out, 'both sign')
  t.equal((await run(root, 'alert', 'secret')).out, second.out)
  const third = await run(root, 'alert', 'secret', '--new')
  t.equal(readFileSync(file, 'utf8'), third.out + second.out, 'the first one does not any more')
  t.match(
    signature([third.out.trim(), second.out.trim()], 'x', 7),
    /^t=7,v1=[0-9a-f]{64},v1=[0-9a-f]{64}$/,
  )

  const token = await run(root, 'alert', 'secret', '--token')
  t.match(token, { status: 0, err: '' })
  t.notMatch(token.out, 'geheim', 'it is not shown')
  const tokenFile = join(root, 'etc', NAME, 'webhook.token')
  t.equal(readFileSync(tokenFile, 'utf8'), 'tk_geheim\n')
  t.equal(statSync(tokenFile).mode & 0o777, 0o640)
  t.notOk(existsSync(`${file}.new`))
})
