/**
 * The daemon's life under systemd, without systemd: something that holds sockets and listens to
 * messages stands in for it. The real one is asked by scripts/test-systemd.sh.
 */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkDropIn, type EffectIo, takeEffect } from '../../daemon/cli/take-effect.ts'
import { type Supervisor, supervisorOf } from '../../daemon/supervisor.ts'
import { dist, freePort, runProgram } from '../support/daemon.ts'
import { policyClient, until } from '../support/policy-client.ts'
import { startTinySystemd, type TinySystemd } from '../support/tiny-systemd.ts'

const REQUEST = 'request=smtpd_access_policy\nprotocol_state=END-OF-MESSAGE\ninstance=1.1\n\n'
const DROP_IN = 'etc/systemd/system/univention-mtpolicyd.socket.d/listen.conf'

const PLUGIN = '<Plugin a>\nmodule = "Action"\naction = "dunno"\n</Plugin>\n'

/** In a folder of its own: a unix socket's path has 107 bytes at most. */
function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'sd-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function tinySystemd(
  t: Test,
  directory: string,
  streams: readonly string[],
  argv: readonly string[],
): TinySystemd {
  const systemd = startTinySystemd(directory, streams, argv)
  t.teardown(() => systemd.end())
  return systemd
}

async function ask(to: { port: number; host?: string } | { path: string }): Promise<string> {
  const client = await policyClient(to)
  client.send(REQUEST)
  const answer = await client.answer()
  client.close()
  return answer
}

t.test('sockets that systemd holds are used where they are configured', async t => {
  const directory = folder(t)
  const [port, other, own] = [await freePort(), await freePort(), await freePort()]
  const path = join(directory, 'policy sock')
  const file = join(directory, 'test.conf')
  const more = await freePort()
  const hosts = [port, own, more, path]
  const write = (extra: string): void =>
    writeFileSync(
      file,
      `port = "127.0.0.1:${port},[0:0::1]:${port},${path}|unix,127.0.0.1:${own}${extra}"\n` +
        hosts.map(host => `<VirtualHost ${host}>\nname = v\n${PLUGIN}</VirtualHost>\n`).join(''),
    )
  write('')
  const streams = [`127.0.0.1:${port}`, `[::1]:${other}`, path, `[::1]:${port}`]
  const systemd = tinySystemd(t, directory, streams, ['-f', '-c', file])

  systemd.start()
  await systemd.hear('notify READY=1|STATUS=')
  t.match(systemd.said, `STATUS=answering at 127.0.0.1:${port}`)
  await systemd.hear(`[::1]:${other} was handed over and is not in the configuration`)
  await systemd.hear('Parent ready')
  t.notMatch(systemd.said, `${port} was handed over`)
  t.notMatch(systemd.said, `sock|unix was handed over`)
  for (const to of [{ port, host: '127.0.0.1' }, { port, host: '::1' }, { path }]) {
    t.match(await ask(to), /^action=/, 'handed over')
  }
  t.match(await ask({ port: own, host: '127.0.0.1' }), /^action=/, 'bound by itself')

  const pid = Number(/started (\d+)/.exec(systemd.said)?.[1])
  write(`,127.0.0.1:${more}`)
  const before = systemd.said.length
  process.kill(pid, 'SIGHUP')
  await systemd.hear('notify READY=1', before)
  t.match(systemd.said.slice(before), /notify RELOADING=1\|MONOTONIC_USEC=\d{6,}\n/)
  t.match(await ask({ port: more, host: '127.0.0.1' }), /^action=/, 'a reload adds one')
  t.match(await ask({ path }), /^action=/, 'a reload keeps what was handed over')

  const busy = await policyClient({ port, host: '127.0.0.1' })
  busy.send(REQUEST)
  systemd.stop()
  await systemd.hear('ended 0')
  t.match(await busy.answer(), /^action=/, 'what was asked before the stop is answered')
  t.match(systemd.said, 'notify STOPPING=1')

  const waiting = await Promise.all([
    policyClient({ port, host: '127.0.0.1' }),
    policyClient({ path }),
  ])
  for (const client of waiting) client.send(REQUEST)
  systemd.start()
  for (const client of waiting) {
    t.match(await client.answer(), /^action=/, 'whoever connects between two daemons is answered')
    client.close()
  }
  busy.close()
})

t.test(
  'a sign of life comes from the event loop, and a reload right after the start works',
  async t => {
    const root = folder(t)
    const port = await freePort()
    const ctl = (...argv: string[]) =>
      runProgram(join(dist, 'mtpolicyctl'), '--root', root, ...argv)
    t.equal((await ctl('set', `mtpolicyd/port=${port}`)).status, 0)
    const streams = [`127.0.0.1:${port}`, `[::1]:${port}`]
    const systemd = tinySystemd(t, root, streams, ['--root', root, '-f'])

    systemd.start()
    await systemd.hear('started')
    const early = await ctl('reload')
    t.same([early.status, early.stdout], [0, 'reloaded\n'], early.stderr)
    await systemd.hearTimes('notify WATCHDOG=1', 2)
    t.match(await ask({ port, host: '::1' }), 'action=dunno')

    const pid = Number(/started (\d+)/.exec(systemd.said)?.[1])
    const second = await runProgram(
      '/bin/sh',
      '-c',
      `"$1" --root "$2" -f; true`,
      'sh',
      join(dist, 'mtpolicyd'),
      root,
    )
    t.match(second.stderr, 'in use by another daemon')
    t.equal((await ctl('reload')).status, 0, 'a second daemon leaves the first its control socket')

    process.kill(pid, 'SIGKILL')
    await systemd.hear('ended 9')
    systemd.start()
    t.equal((await ctl('reload')).status, 0, 'also after a crash')
    t.equal((await ctl('set', 'mtpolicyd/threshold=7')).status, 0)
  },
)

t.test('what is not meant for this process is not taken, and nothing is left for children', t => {
  const sent: string[] = []
  const make = (env: NodeJS.ProcessEnv): Supervisor =>
    supervisorOf({
      env,
      pid: 42,
      notify: (socket, text) => void sent.push(`${socket} ${text}`),
      warn: message => void sent.push(message),
    })
  t.same(make({ LISTEN_PID: '41', LISTEN_FDS: '2' }).sockets, [])
  t.same(make({ LISTEN_PID: '42', LISTEN_FDS: 'many' }).sockets, [])
  t.same(make({}).sockets, [])
  make({}).ready('nobody listens')
  t.same(sent, [])

  const env = {
    LISTEN_PID: '42',
    LISTEN_FDS: '2',
    LISTEN_FDNAMES: 'a:b',
    NOTIFY_SOCKET: '@x',
    WATCHDOG_PID: '41',
    WATCHDOG_USEC: '1',
    PATH: '/bin',
  }
  const supervisor = make(env)
  t.same(supervisor.sockets, [3, 4])
  t.same(env, { PATH: '/bin' })
  supervisor.ready('one\nline')
  supervisor.stopping()
  t.same(sent, ['@x READY=1\nSTATUS=one line', '@x STOPPING=1'])
  t.end()
})

t.test('a message that systemd cannot take yet is sent again', async t => {
  let failures = 2
  const sent: string[] = []
  const supervisor = supervisorOf({
    env: { NOTIFY_SOCKET: '/x' },
    pid: 1,
    notify: (_socket, text) => {
      if (failures-- > 0) throw new Error('EAGAIN')
      sent.push(text)
    },
    warn: message => void sent.push(message),
  })
  supervisor.ready('here')
  await until(() => sent.length > 0)
  t.same(sent, ['READY=1\nSTATUS=here'])
})

t.test('host and port become the addresses of the socket unit', async t => {
  const root = folder(t)
  const ctl = (...argv: string[]) => runProgram(join(dist, 'mtpolicyctl'), '--root', root, ...argv)
  await ctl('set', 'mtpolicyd/port=2525')
  t.notOk(existsSync(join(root, 'etc/systemd')), 'nothing for systemd where it has no place')
  mkdirSync(join(root, 'etc/systemd/system'), { recursive: true })

  const streams = (): string[] =>
    readFileSync(join(root, DROP_IN), 'utf8').match(/^ListenStream=.*$/gm) ?? []
  t.equal((await ctl('set', 'mtpolicyd/port=2526')).status, 0)
  t.same(streams(), ['ListenStream=', 'ListenStream=127.0.0.1:2526', 'ListenStream=[::1]:2526'])
  t.equal((await ctl('set', 'mtpolicyd/host=2001:db8::5')).status, 1, 'not without clients')
  t.same(streams().length, 3)
  const open = await ctl('set', 'mtpolicyd/clients=2001:db8::/32', 'mtpolicyd/host=2001:db8::5')
  t.equal(open.status, 0, open.stderr)
  t.same(streams(), ['ListenStream=', 'ListenStream=[2001:db8::5]:2526'])
  t.equal((await ctl('set', 'mtpolicyd/host=mail.example.org')).status, 0)
  t.same(streams(), ['ListenStream=', 'ListenStream=@univention-mtpolicyd'], 'a name is no address')
})

t.test('moved sockets: what is done on the host, in which order', async t => {
  const calls: string[] = []
  const io = (changes: Partial<EffectIo> = {}, inactive: string[] = []): EffectIo => ({
    root: '/',
    isBooted: true,
    run: async argv => {
      calls.push(argv.join(' '))
      const isInactive = argv[1] === 'is-active' && inactive.includes(argv[3] ?? '')
      return { status: isInactive ? 3 : 0, stdout: '', stderr: '' }
    },
    reload: async () => void calls.push('reload'),
    follow: async () => {
      calls.push('follow')
      return []
    },
    err: text => void calls.push(text),
    ...changes,
  })
  const done = async (changed: readonly string[], with_: EffectIo): Promise<string[]> => {
    calls.length = 0
    await takeEffect(changed, with_)
    return calls.filter(call => !call.includes('is-active'))
  }
  const socket = 'univention-mtpolicyd.socket'
  const service = 'univention-mtpolicyd.service'
  const drop = `/${DROP_IN}`
  t.same(await done([drop], io()), [
    'systemctl daemon-reload',
    `systemctl stop ${socket} ${service}`,
    `systemctl start ${socket} ${service}`,
    'follow',
  ])
  t.same(
    await done([drop], io({}, [service])),
    [
      'systemctl daemon-reload',
      `systemctl stop ${socket} ${service}`,
      `systemctl start ${socket}`,
      'follow',
    ],
    'what did not run is not started',
  )
  t.same(await done([drop], io({}, [socket, service])), [
    'systemctl daemon-reload',
    'reload',
    'follow',
  ])
  t.same(await done(['/etc/univention-mtpolicyd/mtpolicyd.conf'], io()), ['reload', 'follow'])
  t.same(await done([drop], io({ isBooted: false })), ['reload', 'follow'], 'no systemd')
  t.same(await done([`/r/${DROP_IN}`], io({ root: '/r' })), ['reload'], 'another root')
  await t.rejects(
    takeEffect([drop], io({ run: async () => ({ status: 1, stdout: '', stderr: 'no\n' }) })),
    { message: /^systemctl daemon-reload: no$/ },
  )
})

t.test('below another root, or without systemd, no port is tried', async t => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const root = folder(t)
  mkdirSync(join(root, DROP_IN, '..'), { recursive: true })
  const target = join(root, DROP_IN)
  writeFileSync(target, 'ListenStream=127.0.0.1:1\n')
  t.same(await checkDropIn(target, target, { root, isBooted: true }), [])
  t.same(await checkDropIn(target, `/${DROP_IN}`, { root: '/', isBooted: false }), [])
})
