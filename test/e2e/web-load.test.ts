/** A web console that is attacked, or cannot listen: mail is answered all the same. */

import { connect, type Socket } from 'node:net'
import t from 'tap'
import { askPort, installDaemon } from '../support/daemon.ts'
import { freePort } from '../support/free-port.ts'
import { post, session } from '../support/web-calls.ts'

const REQUEST = {
  request: 'smtpd_access_policy',
  protocol_state: 'END-OF-MESSAGE',
  instance: 'a.b.0',
  sasl_username: 'alice',
  recipient_count: '1',
}

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
