/**
 * The daemon's life under systemd, without systemd: something that holds sockets and listens to
 * messages stands in for it. The real one is asked by scripts/test-systemd.sh.
 */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkDropIn, type EffectIo, occupied, takeEffect } from '../../daemon/cli/take-effect.ts'
import { openRegistry } from '../../daemon/registry/registry.ts'
import { readTemplates, renderTemplate } from '../../daemon/registry/render.ts'
import { type Supervisor, supervisorOf } from '../../daemon/run/supervisor.ts'
import { dist, freePort, runProgram } from '../support/daemon.ts'
import { policyClient } from '../support/policy-client.ts'
import { startTinySystemd, type TinySystemd } from '../support/tiny-systemd.ts'
import { virtualClock } from '../support/virtual-clock.ts'

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
  await systemd.hear(`inherited socket [::1]:${other} is not in the configuration`)
  await systemd.hear('Parent ready')
  t.notMatch(systemd.said, `inherited socket 127.0.0.1:${port}`)
  t.notMatch(systemd.said, `sock|unix is not in the configuration`)
  for (const to of [{ port, host: '127.0.0.1' }, { port, host: '::1' }, { path }]) {
    t.match(await ask(to), /^action=/, 'handed over')
  }
  t.match(await ask({ port: own, host: '127.0.0.1' }), /^action=/, 'bound by itself')
  await t.rejects(ask({ port: other, host: '::1' }), 'nobody waits where nobody is to be asked')

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
  const clock = virtualClock()
  const make = (env: NodeJS.ProcessEnv): Supervisor =>
    supervisorOf({
      clock,
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

t.test('a sign of life goes out three times as often as systemd expects one', async t => {
  const clock = virtualClock()
  const sent: string[] = []
  const supervisor = supervisorOf({
    clock,
    env: { NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '30000000' },
    pid: 1,
    notify: (_socket, text) => {
      sent.push(text)
      if (text === 'WATCHDOG=1') throw new Error('EAGAIN')
    },
    warn: message => void sent.push(message),
  })
  await clock.advance(60_000)
  t.same(sent, [], 'not before the daemon is ready')
  supervisor.ready('here')
  supervisor.ready('here, after a reload')
  sent.length = 0
  await clock.advance(60_000)
  t.same(
    sent,
    Array.from({ length: 6 }, () => 'WATCHDOG=1'),
  )
  supervisor.stopping()
  t.equal(clock.pending, 0)
})

t.test('a message that systemd never takes is logged', async t => {
  const clock = virtualClock()
  const warnings: string[] = []
  const supervisor = supervisorOf({
    clock,
    env: { NOTIFY_SOCKET: '/x' },
    pid: 1,
    notify: () => {
      throw new Error('EAGAIN')
    },
    warn: message => void warnings.push(message),
  })
  supervisor.ready('here')
  await clock.advance(10_000)
  t.same(warnings, ['could not notify systemd (READY=1 STATUS=here): EAGAIN'])
  t.equal(clock.pending, 0)
})

t.test('a message that systemd cannot take yet is sent again', async t => {
  const clock = virtualClock()
  let failures = 2
  const sent: string[] = []
  const supervisor = supervisorOf({
    clock,
    env: { NOTIFY_SOCKET: '/x' },
    pid: 1,
    notify: (_socket, text) => {
      if (failures-- > 0) throw new Error('EAGAIN')
      sent.push(text)
    },
    warn: message => void sent.push(message),
  })
  supervisor.ready('here')
  await clock.advance(1000)
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

t.test('a host that has no IPv6 gets a socket unit for the rest', async t => {
  const templates = join(import.meta.dirname, '../../templates')
  const root = folder(t)
  mkdirSync(join(root, 'etc/systemd/system'), { recursive: true })
  const registry = openRegistry({ root, env: {} })
  const read = readTemplates(templates, root, registry.descriptions)
  const template = read.templates.find(({ target }) => target === join(root, DROP_IN))
  const streams = (host: string, isThere: boolean): string[] => {
    if (template === undefined) return []
    const values = new Map([...registry.values(), ['mtpolicyd/host', host]])
    const rendered = renderTemplate(template, values, { hasIPv6: isThere })
    return 'text' in rendered ? (rendered.text.match(/^ListenStream=.+$/gm) ?? []) : []
  }
  t.same(streams('localhost', true), ['ListenStream=127.0.0.1:12345', 'ListenStream=[::1]:12345'])
  t.same(streams('localhost', false), ['ListenStream=127.0.0.1:12345'])
  t.same(streams('::1', false), ['ListenStream=[::1]:12345'], 'what was asked for by name stays')
})

t.test('moved sockets: what is done on the host, in which order', async t => {
  const socket = 'univention-mtpolicyd.socket'
  const service = 'univention-mtpolicyd.service'
  const calls: string[] = []
  let retry = 'univention-mtpolicyd-retry.service'
  const io = (changes: Partial<EffectIo> = {}, inactive: string[] = []): EffectIo => ({
    root: '/',
    isBooted: true,
    run: async argv => {
      calls.push(argv.join(' '))
      const isInactive = argv[1] === 'is-active' && [retry, ...inactive].includes(argv[3] ?? '')
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
    // However often it was started before, and whether or not it waits.
    const isAlways = (call: string): boolean => /is-active|reset-failed|stop \S*-retry/.test(call)
    return calls.filter(call => !isAlways(call))
  }
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
  retry = ''
  const config = '/etc/univention-mtpolicyd/mtpolicyd.conf'
  t.same(
    await done([config], io({}, [socket, service])),
    [`systemctl start ${service}`, 'follow'],
    'one that has failed is tried at once',
  )
  t.match(calls, ['systemctl is-active --quiet univention-mtpolicyd-retry.service'])
  t.ok(calls.includes('systemctl stop univention-mtpolicyd-retry.service'))
  t.same(await done([drop], io({}, [socket, service])), [
    'systemctl daemon-reload',
    `systemctl stop ${socket} ${service}`,
    `systemctl start ${service}`,
    'follow',
  ])
  retry = 'univention-mtpolicyd-retry.service'
  await t.rejects(
    takeEffect([drop], io({ run: async () => ({ status: 1, stdout: '', stderr: 'no\n' }) })),
    { message: /^systemctl daemon-reload: no$/ },
  )
})

t.test(
  "a port that is somebody else's is refused, and he is named; below another root none is tried",
  async t => {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => server.close())
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const root = folder(t)
    mkdirSync(join(root, DROP_IN, '..'), { recursive: true })
    const target = join(root, DROP_IN)
    writeFileSync(target, 'ListenStream=127.0.0.1:1\n')
    const staged = join(root, 'staged')
    writeFileSync(staged, `[Socket]\nListenStream=\nListenStream=127.0.0.1:${port}\n`)
    t.same(await checkDropIn(staged, target, { root }), [])
    const [problem, ...more] = await occupied(staged, target)
    t.same(more, [])
    t.equal(problem?.place.line, 3)
    t.match(problem?.message, `127.0.0.1:${port} is in use by `)
    t.match(problem?.message, `(process ${process.pid}`)
    const free = Number(/mtpolicyctl set mtpolicyd\/port=(\d+)$/.exec(problem?.message ?? '')?.[1])
    t.ok(free > port && free < 65536, `${free} is another one`)

    const own = join(root, 'mtpolicyd.conf')
    writeFileSync(target, 'port = "127.0.0.1:1"\n')
    writeFileSync(own, `# a port\nport = "[::1]:1,127.0.0.1:${port}"\n`)
    t.match(await occupied(own, target), [{ place: { line: 2 } }], 'without systemd')

    writeFileSync(target, `ListenStream=127.0.0.2:${port}\n`)
    t.match(
      await occupied(staged, target),
      [{ message: `127.0.0.1:${port} is in use by ` }],
      'on our own port at another address, too',
    )
    writeFileSync(staged, `ListenStream=0.0.0.0:${port}\n`)
    t.equal((await occupied(staged, target)).length, 1, 'a wildcard would be in his way')
    writeFileSync(target, `ListenStream=127.0.0.1:${port}\n`)
    t.same(await occupied(staged, target), [], 'what is in the way is ours')
  },
)
