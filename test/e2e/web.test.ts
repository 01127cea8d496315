/** The web console of the real program: switched on, over a restart, off. */

import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { installDaemon } from '../support/daemon.ts'
import { post, session } from '../support/web-calls.ts'

const threadsOf = (pid: number | undefined): readonly string[] =>
  readdirSync(`/proc/${pid}/task`).flatMap(id => {
    try {
      return readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim()
    } catch {
      // It has ended in between.
      return []
    }
  })

t.test('the console is off until it is wanted, and nothing of it is there', async t => {
  const daemon = await installDaemon({ 'mtpolicyd/maillog': 'none' })
  t.teardown(() => daemon.remove())
  await daemon.start()
  t.match(await daemon.ctl('web', 'login'), { status: 1, stderr: /mtpolicyctl web on/ })
  t.match(await daemon.ctl('web', 'token', 'list'), { status: 1 })
  t.notOk(threadsOf(daemon.pid).includes('web console'), 'no thread of it')

  const on = await daemon.ctl('web', 'on')
  t.equal(on.status, 0, on.stderr)
  for (const line of on.stdout.split('\n')) t.ok(line.length <= 80, line)
  const url = /http:\S+/.exec(on.stdout)?.[0] ?? ''
  t.ok(threadsOf(daemon.pid).includes('web console'), 'a thread of its own')
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
  // It ends soon after the last connection.
  while (threadsOf(daemon.pid).includes('web console')) await sleep(50)
  t.notOk(daemon.log().includes(token), 'no token is in the log')
  t.notOk(daemon.log().includes(secret))
  t.notOk(daemon.log().includes(cookie.split('=')[1] ?? '?'))
  t.match(daemon.log(), /has logged in to the web console from 127.0.0.1/)
})
