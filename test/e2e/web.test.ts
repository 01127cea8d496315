/** The web console of the real program: switched on, over a restart, under load, off. */

import { readdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { askPort, installDaemon } from '../support/daemon.ts'
import { freePort } from '../support/free-port.ts'

const REQUEST = {
  request: 'smtpd_access_policy',
  protocol_state: 'END-OF-MESSAGE',
  instance: 'a.b.0',
  sasl_username: 'alice',
  recipient_count: '1',
}

const threadsOf = (pid: number | undefined): readonly string[] =>
  readdirSync(`/proc/${pid}/task`).map(id =>
    readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim(),
  )

async function post(url: string, path: string, body: object, cookie = ''): Promise<Response> {
  return await fetch(new URL(path, url), {
    method: 'POST',
    body: JSON.stringify(body),
    headers: {
      'content-type': 'application/json',
      'x-requested-with': 'mtpolicyd',
      origin: new URL(url).origin,
      cookie,
    },
  })
}

const session = (url: string, cookie: string): Promise<Response> =>
  fetch(new URL('/api/session', url), { headers: { cookie } })

t.test('the console is off until it is wanted, and nothing of it is there', async t => {
  const daemon = await installDaemon({ 'mtpolicyd/maillog': 'none' })
  t.teardown(() => daemon.remove())
  await daemon.start()
  t.match(await daemon.ctl('web', 'login'), { status: 1, stderr: /mtpolicyctl web on/ })
  t.match(await daemon.ctl('web', 'token', 'list'), { status: 1 })
  const maps = readFileSync(`/proc/${daemon.pid}/maps`, 'utf8')
  t.notMatch(maps, 'web-thread')
  const before = threadsOf(daemon.pid).length

  const on = await daemon.ctl('web', 'on')
  t.equal(on.status, 0, on.stderr)
  for (const line of on.stdout.split('\n')) t.ok(line.length <= 80, line)
  const url = /http:\S+/.exec(on.stdout)?.[0] ?? ''
  t.ok(threadsOf(daemon.pid).length > before, 'a thread of its own')
  t.match((await daemon.ctl('status')).stdout, /ok +web console +http:\/\/localhost:\d+/)
  t.match(await daemon.ctl('get', 'mtpolicyd/web/port'), { stdout: `${new URL(url).port}\n` })

  const token = url.split('#login=')[1] ?? ''
  const login = await post(url, '/api/login', { token })
  t.equal(login.status, 200)
  t.equal((await post(url, '/api/login', { token })).status, 403, 'the link is used up')
  const cookie = login.headers.get('set-cookie')?.split(';')[0] ?? ''
  t.match(await (await session(url, cookie)).json(), { role: 'change' })

  await daemon.stop()
  await daemon.start()
  for (let tries = 0; tries < 500; tries++) {
    if (await session(url, cookie).catch(() => undefined)) break
    await sleep(20)
  }
  t.equal((await session(url, cookie)).status, 200, 'a restart logs nobody out')

  const added = await daemon.ctl('web', 'token', 'add', 'bob', '--role', 'read')
  const secret = /^ {2}(\S+)$/m.exec(added.stdout)?.[1] ?? ''
  t.match(await daemon.ctl('web', 'token', 'list'), { stdout: /^bob +read +made on \d{4}-/ })
  t.equal((await post(url, '/api/login', { token: secret })).status, 200)
  t.match(await daemon.ctl('web', 'token', 'remove', 'bob'), { status: 0 })
  t.equal((await post(url, '/api/login', { token: secret })).status, 403)
  t.match(await daemon.ctl('web', 'token', 'add', 'bob'), { status: 64, stderr: /--role/ })

  t.equal((await fetch(new URL('/metrics', url))).status, 200)
  const off = await daemon.ctl('web', 'off')
  t.match(off, { status: 0, stdout: 'The web console is off.\n' })
  await t.rejects(session(url, cookie))
  t.notOk(daemon.log().includes(token), 'no token is in the log')
  t.notOk(daemon.log().includes(secret))
  t.notOk(daemon.log().includes(cookie.split('=')[1] ?? '?'))
  t.match(daemon.log(), /has logged in to the web console from 127.0.0.1/)
})

t.test('a port that is taken, and 10,000 connections: mail is answered all the same', async t => {
  const web = await freePort()
  const daemon = await installDaemon({
    'mtpolicyd/maillog': 'none',
    'mtpolicyd/web/port': String(web),
  })
  t.teardown(() => daemon.remove())
  await daemon.start()
  const answer = () => askPort(daemon.port, { ...REQUEST, instance: `a.${Math.random()}.0` })
  t.equal(await answer(), 'action=dunno')
  const login = await daemon.ctl('web', 'login', '--role', 'read')
  t.equal(login.status, 0, login.stderr)
  const url = /http:\S+/.exec(login.stdout)?.[0] ?? ''
  const entered = await post(url, '/api/login', { token: url.split('#login=')[1] })
  const cookie = entered.headers.get('set-cookie')?.split(';')[0] ?? ''
  const sockets: Socket[] = []
  for (let round = 0; round < 100; round++) {
    sockets.push(...(await Promise.all(Array.from({ length: 100 }, () => silent(web)))))
    if (round % 20 === 19) t.equal(await answer(), 'action=dunno', `${sockets.length} connections`)
  }
  t.equal((await session(url, cookie)).status, 200)
  for (const socket of sockets) socket.destroy()

  const taken = await daemon.ctl('set', `mtpolicyd/web/port=${daemon.port}`)
  t.equal(taken.status, 0)
  t.ok(await daemon.logged(/no web console: 127.0.0.1:\d+ is in use by /))
  const status = await daemon.ctl('status')
  t.match(status.stdout, /BAD +web console +there is no web console/)
  t.equal(await answer(), 'action=dunno')
  await daemon.ctl('set', `mtpolicyd/web/port=${web}`)
  t.match(await daemon.ctl('web', 'login'), { status: 0 })
  t.equal((await session(url, cookie)).status, 200, 'and nobody was logged out by that')
})

function silent(port: number): Promise<Socket> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.once('connect', () => resolve(socket))
  })
}
