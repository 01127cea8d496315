/** Who may do what in the console, and for how long. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { exchange, webSite } from '../support/web-site.ts'

const HOUR = 3_600_000

t.test('a login link logs in once, within ten minutes', async t => {
  const site = await webSite(t)
  const logIn = (token: unknown) => site.ask('/api/login', { method: 'POST', body: { token } })
  const token = site.links.make({ role: 'change', name: 'root' })
  t.match(await logIn(token), { status: 200, value: { user: 'root', role: 'change' } })
  const again = await logIn(token)
  t.equal(again.status, 403)
  t.match(again.value, { error: /valid.*mtpolicyctl web login/ })
  const late = site.links.make({ role: 'change', name: 'root' })
  await site.clock.advance(600_000)
  t.equal((await logIn(late)).status, 403)
  for (const odd of ['', 'x', {}, 5, null, 'a'.repeat(60_000), '__proto__']) {
    const { status } = await logIn(odd)
    t.ok(status === 403 || status === 400, String(status))
  }
})

t.test('of unused links the twentieth before the last is the oldest that is valid', async t => {
  const { links } = await webSite(t)
  const made = Array.from({ length: 21 }, () => links.make({ role: 'read', name: 'root' }))
  t.equal(links.take(made[0] ?? ''), undefined)
  t.match(links.take(made[1] ?? ''), { role: 'read' })
})

t.test('a session that a browser brings is never taken over (fixation)', async t => {
  const site = await webSite(t)
  const planted = `mtpolicyd-${site.port}=1.${'A'.repeat(43)}`
  const token = site.links.make({ role: 'change', name: 'root' })
  const login = await site.ask('/api/login', {
    method: 'POST',
    body: { token },
    headers: { cookie: planted },
  })
  t.equal(login.status, 200)
  t.not(login.cookie, planted)
  t.equal((await site.ask('/api/echo/a', { headers: { cookie: planted } })).status, 401)
  // A real one of the attacker's, planted before the login: it ends.
  const theirs = await site.logIn('read')
  const next = site.links.make({ role: 'change', name: 'root' })
  const mine = await site.ask('/api/login', {
    method: 'POST',
    body: { token: next },
    headers: { cookie: theirs },
  })
  t.not(mine.cookie, theirs)
  t.equal((await site.ask('/api/echo/a', { headers: { cookie: theirs } })).status, 401)
})

t.test('the cookie is for this console alone, and no script reads it', async t => {
  const plain = await webSite(t)
  const cookieOf = async (site: typeof plain, headers = {}): Promise<string> => {
    const token = site.links.make({ role: 'read', name: 'root' })
    const login = await site.ask('/api/login', { method: 'POST', body: { token }, headers })
    return login.headers['set-cookie'] ?? ''
  }
  t.match(
    await cookieOf(plain),
    new RegExp(`^mtpolicyd-${plain.port}=1\\.[\\w-]{43}; Path=/; HttpOnly; SameSite=Strict$`),
  )
  const https = { 'x-forwarded-proto': 'https' }
  t.match(
    await cookieOf(plain, https),
    /^__Host-mtpolicyd-\d+=1\.[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Secure$/,
  )
  const below = await webSite(t, { settings: { path: '/mail' } })
  t.match(
    await cookieOf(below, https),
    /^__Secure-mtpolicyd-\d+=\S+; Path=\/mail; HttpOnly; SameSite=Strict; Secure$/,
  )
  const cookie = await plain.logIn('read', https)
  const ask = async (headers: object) =>
    (await plain.ask('/api/echo/a', { headers: { cookie, ...headers } })).status
  t.equal(await ask(https), 200)
  t.equal(await ask({}), 401, 'nor is it valid without encryption')
})

t.test('a cookie of an older version, or nonsense, is nobody’s', async t => {
  const site = await webSite(t)
  const name = `mtpolicyd-${site.port}`
  for (const cookie of [
    `${name}=0.${'A'.repeat(43)}`,
    `${name}=`,
    `${name}=${'x'.repeat(4000)}`,
    `${name}=%00%ff`,
    `${name}="1.${'A'.repeat(43)}"`,
    `${name}=1.${'A'.repeat(43)}; ${name}=1.${'B'.repeat(43)}`,
    'mtpolicyd=1.abc; =; ;;;',
    name,
  ]) {
    t.match(await site.ask('/api/echo/a', { headers: { cookie } }), {
      status: 401,
      value: { error: 'nobody is logged in' },
    })
  }
  const good = await site.logIn()
  const both = `${name}=0.old; ${good}; other=1`
  t.equal((await site.ask('/api/echo/a', { headers: { cookie: both } })).status, 200)
})

t.test('who may look does not change; what is ordered has a name', async t => {
  const site = await webSite(t)
  const reader = await site.logIn('read')
  const change = (headers: Record<string, string | undefined>) =>
    site.ask('/api/change', { method: 'POST', body: { a: 1 }, headers })
  t.equal((await change({})).status, 401)
  t.match(await change({ cookie: reader }), { status: 403, value: { error: /may look/ } })
  const admin = await site.logIn()
  t.match(await change({ cookie: admin }), {
    status: 200,
    value: { body: { a: 1 }, by: 'console (root)' },
  })
  const { secret } = site.tokens.add('script', 'change')
  const bearer = {
    authorization: `Bearer ${secret}`,
    'x-requested-with': undefined,
    origin: undefined,
    'sec-fetch-site': undefined,
  }
  t.match(await change(bearer), { status: 200, value: { by: 'console (script)' } })
  t.equal((await change({ ...bearer, authorization: 'Bearer nonsense' })).status, 401)
  const metrics = site.tokens.add('prometheus', 'metrics').secret
  t.equal((await change({ ...bearer, authorization: `Bearer ${metrics}` })).status, 403)
  const login = await site.ask('/api/login', { method: 'POST', body: { token: metrics } })
  t.equal(login.status, 403, 'nor does it log in')
})

t.test('a token that is removed ends what was begun with it', async t => {
  const site = await webSite(t)
  const { secret } = site.tokens.add('bob', 'read')
  const { cookie } = await site.ask('/api/login', { method: 'POST', body: { token: secret } })
  const status = async (): Promise<number> =>
    (await site.ask('/api/echo/a', { headers: { cookie } })).status
  t.equal(await status(), 200)
  site.tokens.remove('bob')
  site.sessions.endOfToken('bob')
  t.equal(await status(), 401)
  t.throws(() => site.tokens.remove('bob'), /no token bob/)
  t.throws(() => site.tokens.add('a b', 'read'), /1 to 64 characters/)
  t.throws(() => site.tokens.add('bob', 'root'), /read, change, metrics/)
  site.tokens.add('bob', 'read')
  t.throws(() => site.tokens.add('bob', 'read'), /already/)
})

t.test('a session ends after two hours without use, and after twelve with it', async t => {
  const site = await webSite(t)
  const status = async (cookie: string): Promise<number> =>
    (await site.ask('/api/echo/a', { headers: { cookie } })).status
  const idle = await site.logIn()
  const busy = await site.logIn()
  for (let hour = 1; hour < 12; hour++) {
    await site.clock.advance(HOUR)
    t.equal(await status(busy), 200, `after ${hour} h`)
  }
  t.equal(await status(idle), 401)
  await site.clock.advance(HOUR)
  t.equal(await status(busy), 401)
})

t.test('logout ends the session, also for who has copied the cookie', async t => {
  const site = await webSite(t)
  const cookie = await site.logIn()
  const logout = await site.ask('/api/logout', { method: 'POST', body: {}, headers: { cookie } })
  t.match(logout.headers['set-cookie'], /=; Path=\/; .*Max-Age=0$/)
  t.equal((await site.ask('/api/echo/a', { headers: { cookie } })).status, 401)
})

t.test(
  'after a restart those who were logged in still are; nothing of theirs is in the files',
  async t => {
    const before = await webSite(t)
    const cookie = await before.logIn()
    const { secret } = before.tokens.add('bob', 'read')
    before.sessions.close()
    const after = await webSite(t, { folder: before.folder })
    t.ok(after.sessions.find(cookie.split('=')[1] ?? ''))
    t.match(after.tokens.find(secret), { name: 'bob', role: 'read' })
    for (const name of ['web-sessions.json', 'web-tokens.json']) {
      const text = readFileSync(join(before.folder, name), 'utf8')
      t.notMatch(text, secret)
      t.notMatch(text, cookie.split('.')[1] ?? '?')
    }
  },
)

t.test('a file that is damaged, or of another version, is set aside', async t => {
  const site = await webSite(t)
  for (const text of ['', '{', '[]', '{"version":7,"items":[]}', '\0\0\0']) {
    writeFileSync(join(site.folder, 'web-tokens.json'), text)
    const next = await webSite(t, { folder: site.folder })
    t.strictSame(next.tokens.list(), [])
    t.match(next.lines.join('\n'), /web-tokens.json.damaged, and begun again/)
  }
  writeFileSync(
    join(site.folder, 'web-tokens.json'),
    JSON.stringify({ version: 1, items: [null, 5, { name: 'x' }, { hash: '../..' }] }),
  )
  t.strictSame((await webSite(t, { folder: site.folder })).tokens.list(), [])
})

t.test('after ten failures an address waits, and no other one', async t => {
  const site = await webSite(t)
  const logIn = (client: string, token = 'wrong') =>
    site.ask('/api/login', {
      method: 'POST',
      body: { token },
      headers: { 'x-forwarded-for': `203.0.113.9, ${client}` },
    })
  for (let tries = 0; tries < 10; tries++) t.equal((await logIn('192.0.2.1')).status, 403)
  const refused = await logIn('192.0.2.1')
  t.match(refused, { status: 429, headers: { 'retry-after': /^\d+$/ } })
  t.equal((await logIn('192.0.2.2')).status, 403, 'from elsewhere')
  const bearer = await site.ask('/api/echo/a', {
    headers: { authorization: 'Bearer x', 'x-forwarded-for': '192.0.2.1' },
  })
  t.equal(bearer.status, 429)
  for (let tries = 0; tries < 10; tries++) await logIn(`2001:db8::${tries}`)
  t.equal((await logIn('2001:db8::ffff')).status, 429, 'of IPv6 the whole network')
  t.equal((await logIn('2001:db8:0:1::1')).status, 403)
  await site.clock.advance(60_000)
  t.equal((await logIn('192.0.2.1')).status, 403)
})

t.test(
  'what fails or succeeds is logged with where it came from, and without its token',
  async t => {
    const site = await webSite(t)
    const token = site.links.make({ role: 'change', name: 'root' })
    await site.ask('/api/login', { method: 'POST', body: { token: 'my-wrong-token' } })
    await site.ask('/api/login', { method: 'POST', body: { token } })
    const text = site.lines.join('\n')
    t.match(text, /root has logged in to the web console from 127.0.0.1 \(change\)/)
    t.match(text, /a login to the web console has failed, from 127.0.0.1/)
    t.notMatch(text, token)
    t.notMatch(text, 'my-wrong-token')
  },
)

t.test('metrics: from this host without a login, else with a token of its own', async t => {
  const site = await webSite(t)
  const status = async (headers = {}, of = site): Promise<number> =>
    (await of.ask('/metrics', { headers })).status
  // The daemon of these tests does not run, and that is what is told to those who may know.
  t.equal(await status(), 503)
  // Each is sent by some proxy, perhaps as the only one.
  for (const name of [
    'x-forwarded-for',
    'x-forwarded-proto',
    'x-forwarded-port',
    'x-forwarded-server',
    'x-forwarded-prefix',
    'x-real-ip',
    'x-original-forwarded-for',
    'true-client-ip',
    'cf-connecting-ip',
    'forwarded',
    'via',
  ]) {
    t.equal(await status({ [name]: '192.0.2.1' }), 401, `${name}: through a proxy`)
  }
  const read = site.tokens.add('bob', 'read').secret
  const own = site.tokens.add('prometheus', 'metrics').secret
  t.equal(await status({ authorization: `Bearer ${read}` }), 403)
  t.equal(await status({ authorization: `Bearer ${own}` }), 503)
  t.equal(await status({ authorization: `Bearer ${own}`, 'x-forwarded-for': '192.0.2.1' }), 503)
  t.equal(await status({ authorization: 'Bearer x' }), 401)
  const proxied = await webSite(t, { settings: { names: ['console.example.org'] } })
  t.equal(await status({}, proxied), 401, 'a proxy that passes on nothing')
})

t.test('whoever fails on purpose locks out nobody who has a link or a token', async t => {
  const site = await webSite(t)
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
  const own = site.tokens.add('prometheus', 'metrics').secret
  const script = site.tokens.add('script', 'change').secret
  const logIn = (token: string) => site.ask('/api/login', { method: 'POST', body: { token } })
  // From the same address: behind a proxy that does not say where a request comes from, everybody has that.
  for (let tries = 0; tries < 20; tries++) await logIn('wrong')
  t.equal((await logIn('wrong')).status, 429)
  t.equal((await site.ask('/api/echo/a', { headers: bearer('wrong') })).status, 429)
  t.equal((await logIn(site.links.make({ role: 'change', name: 'root' }))).status, 200, 'a link')
  t.equal((await logIn(script)).status, 200, 'a token')
  t.equal((await site.ask('/api/echo/a', { headers: bearer(script) })).status, 200)
  t.equal((await site.ask('/metrics', { headers: bearer(own) })).status, 503, 'the monitoring')
  t.equal(site.lines.filter(line => line.includes('has failed')).length, 10, 'the log stays short')
})

t.test('whoever logs in again and again ends logins of their own alone', async t => {
  const site = await webSite(t)
  const admin = await site.logIn()
  const { secret } = site.tokens.add('bob', 'read')
  const logIn = () => site.ask('/api/login', { method: 'POST', body: { token: secret } })
  const first = (await logIn()).cookie
  for (let times = 0; times < 1100; times++) {
    site.sessions.begin({ role: 'read', name: 'bob', token: 'bob' })
  }
  const last = (await logIn()).cookie
  const status = async (cookie: string | undefined): Promise<number> =>
    (await site.ask('/api/echo/a', { headers: { cookie } })).status
  t.equal(await status(admin), 200)
  t.equal(await status(first), 401)
  t.equal(await status(last), 200)
})

t.test('a link that a mail scanner or a preview opens is still good', async t => {
  const site = await webSite(t)
  const token = site.links.make({ role: 'change', name: 'root' })
  for (const path of [`/?login=${token}`, `/#login=${token}`, '/', `/api/login?token=${token}`]) {
    for (const method of ['GET', 'HEAD']) {
      const { status, cookie } = await site.ask(path, { method })
      t.ok([200, 404, 405].includes(status), `${method} ${path}: ${status}`)
      t.equal(cookie, undefined)
    }
  }
  const both = await Promise.all(
    [1, 2, 3, 4].map(() => site.ask('/api/login', { method: 'POST', body: { token } })),
  )
  t.strictSame(
    both.map(({ status }) => status).toSorted(),
    [200, 403, 403, 403],
    'of four at the same time, one',
  )
})

t.test('what a program follows with a token ends with the token', async t => {
  const site = await webSite(t)
  const { secret } = site.tokens.add('script', 'read')
  const other = site.tokens.add('other', 'read').secret
  const follow = (token: string) =>
    exchange(
      site.port,
      `GET /api/events HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\n\r\n`,
    )
  const [mine, theirs] = [follow(secret), follow(other)]
  while (site.connections.count < 2 || !site.hub.isHeard) await sleep(5)
  site.tokens.remove('script')
  t.match(await Promise.race([mine, sleep(5000, 'it goes on')]), /^HTTP\/1.1 200/)
  site.hub.publish('status', '"theirs goes on"')
  site.tokens.remove('other')
  t.match(await Promise.race([theirs, sleep(5000, '')]), /theirs goes on/)
})

t.test('a logout is one, also if the disk is full', async t => {
  const before = await webSite(t)
  const gone = await before.logIn()
  // Nothing can be written there, as on a disk that is full.
  mkdirSync(join(before.folder, 'web-sessions.json.new/x'), { recursive: true })
  await before.ask('/api/logout', { method: 'POST', body: {}, headers: { cookie: gone } })
  before.sessions.close()
  const after = await webSite(t, { folder: before.folder })
  t.equal(after.sessions.find(gone.split('=')[1] ?? ''), undefined)
  t.match(before.lines.join('\n'), /lost at the next restart/)
})

t.test(
  'what was begun with a token ends where that is gone, whatever happened to the file',
  async t => {
    const before = await webSite(t)
    const { secret } = before.tokens.add('bob', 'read')
    const login = await before.ask('/api/login', { method: 'POST', body: { token: secret } })
    const linked = await before.logIn()
    before.sessions.close()
    rmSync(join(before.folder, 'web-tokens.json'))
    const after = await webSite(t, { folder: before.folder })
    const status = async (cookie = '') =>
      (await after.ask('/api/echo/a', { headers: { cookie: renamed(cookie, after.port) } })).status
    t.equal(await status(login.cookie), 401)
    t.equal(await status(linked), 200)
  },
)

/** The cookie of a console at another port. */
const renamed = (cookie: string, port: number): string => cookie.replace(/-\d+=/, `-${port}=`)

t.test('a program with a token may use any name of this host', async t => {
  const site = await webSite(t)
  const metrics = site.tokens.add('prometheus', 'metrics').secret
  const reader = site.tokens.add('script', 'read').secret
  const status = async (path: string, secret: string, more = {}): Promise<number> => {
    const headers = { authorization: `Bearer ${secret}`, host: `mail.example.org:${site.port}` }
    return (await site.ask(path, { headers: { ...headers, ...more } })).status
  }
  t.equal(await status('/metrics', metrics), 503, 'the daemon does not run, and was asked')
  t.equal(await status('/api/echo/a', reader), 200)
  for (let tries = 0; tries < 20; tries++) t.equal(await status('/metrics', 'wrong'), 401)
  t.equal((await site.ask('/metrics')).status, 503, 'a page that sends wrong ones locks nobody out')
  const cookie = await site.logIn()
  t.equal(await status('/api/echo/a', 'wrong', { cookie }), 401, 'also with a cookie')
  const page = await site.ask('/metrics', { headers: { host: 'mail.example.org' } })
  t.equal(page.status, 421, 'a browser has none')
})

t.test('a proxy may tell the port of its client as well', async t => {
  const site = await webSite(t)
  for (const [given, client] of [
    ['192.0.2.7:61598', '192.0.2.7'],
    ['203.0.113.9, 192.0.2.8:1', '192.0.2.8'],
    ['[2001:db8::7]:61598', '2001:db8::7'],
    ['"[2001:db8::8]"', '2001:db8::8'],
    ['2001:db8::9', '2001:db8::9'],
    ['unknown', '127.0.0.1'],
    ['192.0.2.7:61598:1', '127.0.0.1'],
  ]) {
    const headers = { 'x-forwarded-for': given }
    await site.ask('/api/login', { method: 'POST', body: { token: 'wrong' }, headers })
    t.match(site.lines.at(-1), new RegExp(`has failed, from ${client}$`), `${given}`)
  }
})
