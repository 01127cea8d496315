/** The API through the console's own thread and server, as a browser asks it. */

import { appendFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { consoleApi } from '../support/console-api.ts'
import { freePort } from '../support/free-port.ts'

const EVIL = '<img src=x onerror=alert(1)>'

t.test('a browser that has logged in gets what the daemon knows, and orders', async t => {
  const port = await freePort()
  const console = await consoleApi(t, {
    variables: { 'mtpolicyd/web/port': String(port), 'mtpolicyd/threshold': '5' },
  })
  await console.mail({ sasl_username: EVIL, recipient_count: '6' })
  const origin = `http://localhost:${port}`
  let cookie = ''
  const ask = (path: string, body?: unknown, signal?: AbortSignal): Promise<Response> =>
    fetch(`${origin}/api/${path}`, {
      headers: {
        'content-type': 'application/json',
        'x-requested-with': 'mtpolicyd',
        origin,
        cookie,
      },
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    })
  const { url } = await console.daemon.control.webLogin({ role: 'change', by: 'root' })
  t.equal((await ask('today')).status, 401, 'nobody has logged in')
  const token = url.slice(url.indexOf('#login=') + '#login='.length)
  const login = await ask('login', { token })
  t.equal(login.status, 200)
  cookie = (login.headers.get('set-cookie') ?? '').split(';', 1)[0] ?? ''

  const list = await ask('refusals')
  t.match(list.headers.get('content-type'), /^application\/json/)
  t.match(await list.json(), { refusals: [{ account: EVIL }] })
  const account = await ask(`account/${encodeURIComponent(EVIL)}`)
  t.match(await account.json(), { account: EVIL })
  const blocked = await ask('account/alice/block', { reason: 'test' })
  t.match(await blocked.json(), { measure: { by: /root/, why: 'test' } })
  const wrong = await ask('account/alice/block', { until: 'soon' })
  t.equal(wrong.status, 400)
  t.match(await wrong.json(), { error: /"until"/ })
  t.equal((await ask('why/AAA-AAA')).status, 404)

  const events = await ask('events')
  t.match(events.headers.get('content-type'), /^text\/event-stream/)
  const reader = events.body?.getReader()
  let text = ''
  while (!text.includes('event: status')) {
    const { value } = (await reader?.read()) ?? {}
    text += Buffer.from(value ?? []).toString()
  }
  await reader?.cancel()

  // A trial ends when its browser leaves.
  const file = join(console.paths.root, 'var/log/mail.log')
  mkdirSync(dirname(file), { recursive: true })
  const time = new Date(Date.now() - 3_600_000).toISOString()
  for (let portion = 0; portion < 20; portion++) {
    let lines = ''
    for (let mail = 0; mail < 2000; mail++) {
      const id = `4dQ1${String(portion).padStart(3, '0')}${String(mail).padStart(5, '0')}zB`
      lines += `${time} mail postfix/smtpd[812]: ${id}: client=a.example.net[192.0.2.7], sasl_method=PLAIN, sasl_username=alice\n`
      lines += `${time} mail postfix/qmgr[99]: ${id}: from=<a@example.org>, size=1000, nrcpt=1 (queue active)\n`
    }
    appendFileSync(file, lines)
  }
  await console.ctl('set', `mtpolicyd/maillog=${file}`)
  await console.daemon.reload()
  while ((await console.daemon.status()).mailLog?.state !== 'reading') await sleep(20)
  // The console's thread may know the status of a second ago.
  await sleep(1500)
  const changes = { 'mtpolicyd/threshold': '2' }
  const left = new AbortController()
  const first = ask('tryout', { changes }, left.signal)
  first.catch(() => undefined)
  // The server has it before the next one.
  await sleep(200)
  let second = await ask('tryout', { changes, days: 1 })
  t.equal(second.status, 429, 'one at a time')
  left.abort()
  await t.rejects(first)
  while (second.status === 429) {
    await sleep(20)
    second = await ask('tryout', { changes, days: 1 })
  }
  t.equal(second.status, 200)
  t.match(await second.json(), { source: 'mail log', looked: 40_000 })
})
