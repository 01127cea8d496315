/** The console under attack: from other pages, by other names, with requests that are none. */

import t from 'tap'
import { exchange, parsed, SECRET_FILE, webSite } from '../support/web-site.ts'

t.test('a page of another name that leads here gets nothing (DNS rebinding)', async t => {
  const site = await webSite(t, { settings: { names: ['console.example.org'] } })
  const cookie = await site.logIn()
  const status = async (headers: Record<string, string | undefined>): Promise<number> =>
    (await site.ask('/api/echo/a', { headers: { cookie, ...headers } })).status
  for (const host of [
    `localhost:${site.port}`,
    'localhost:9999',
    `127.0.0.1:${site.port}`,
    '127.0.0.1',
    `[::1]:${site.port}`,
    'LOCALHOST',
    'console.example.org',
    'Console.Example.Org:8443',
  ]) {
    t.equal(await status({ host }), 200, host)
  }
  for (const host of [
    'evil.example',
    `evil.example:${site.port}`,
    'localhost.evil.example',
    'console.example.org.evil.example',
    '192.0.2.1',
    '[2001:db8::1]',
    'localhost@evil.example',
    'evil.example/localhost',
    '',
  ]) {
    t.equal(await status({ host }), 421, host)
  }
  t.equal(await status({ 'x-forwarded-host': 'console.example.org' }), 200)
  t.equal(await status({ 'x-forwarded-host': 'evil.example' }), 421)
  t.equal(await status({ 'x-forwarded-host': 'console.example.org, evil.example' }), 421)
  const page = await site.ask('/', { headers: { host: 'evil.example' } })
  t.equal(page.status, 421, 'nor the page')
  t.match(page.value, { error: /mtpolicyctl set mtpolicyd\/web\/names=console.example.org,evil/ })
  const odd = await site.ask('/', { headers: { host: '"><script>' } })
  t.notMatch(odd.body, '<script>', 'a name that is none is not repeated')
  const two = await site.ask('/', { headers: { Host: 'localhost' } })
  t.equal(two.status, 400, 'two names')
  for (const version of ['1.0', '1.1']) {
    const head = `GET / HTTP/${version}\r\nconnection: close\r\n\r\n`
    t.match(parsed(await exchange(site.port, head)), {
      status: 421,
      headers: { 'content-security-policy': /./ },
    })
  }
})

t.test('a page of another origin changes nothing (CSRF)', async t => {
  const site = await webSite(t, { settings: { names: ['console.example.org'] } })
  const cookie = await site.logIn()
  const change = (headers: Record<string, string | undefined>, body: unknown = {}) =>
    site.ask('/api/change', { method: 'POST', body, headers: { cookie, ...headers } })
  t.equal((await change({})).status, 200)
  t.equal((await change({ 'sec-fetch-site': undefined })).status, 200, 'an older browser')
  t.equal((await change({ origin: undefined })).status, 200, 'same-origin, as the browser says')
  t.equal((await change({ origin: 'https://console.example.org' })).status, 200, 'our proxy')
  for (const headers of [
    { 'x-requested-with': undefined },
    { 'x-requested-with': 'XMLHttpRequest' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
    { origin: 'https://evil.example' },
    { origin: 'http://localhost:1', 'sec-fetch-site': undefined },
    { origin: 'null' },
    { origin: `http://localhost:${site.port}.evil.example` },
    { origin: undefined, 'sec-fetch-site': undefined },
  ]) {
    t.equal((await change(headers)).status, 403, JSON.stringify(headers))
  }
  for (const type of [
    undefined,
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain; application/json',
  ]) {
    t.equal((await change({ 'content-type': type })).status, 415, String(type))
  }
  const asked = await site.ask('/api/change', {
    method: 'OPTIONS',
    headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
  })
  t.equal(asked.status, 405)
  t.notMatch(asked.raw, /access-control-allow/i)
  const token = site.links.make({ role: 'change', name: 'eve' })
  const login = await site.ask('/api/login', {
    method: 'POST',
    body: { token },
    headers: { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
  })
  t.equal(login.status, 403, 'nobody is logged in as somebody else by another page')
  t.equal(login.cookie, undefined)
  t.equal(
    (await site.ask('/api/change', { headers: { cookie } })).status,
    405,
    'GET changes nothing',
  )
})

t.test('a proxy that passes on nothing: the message says what to set', async t => {
  const site = await webSite(t)
  const token = site.links.make({ role: 'change', name: 'root' })
  const login = await site.ask('/api/login', {
    method: 'POST',
    body: { token },
    headers: { origin: 'https://mail.example.org', 'sec-fetch-site': undefined },
  })
  t.equal(login.status, 403)
  t.match(login.value, { error: /mtpolicyctl set mtpolicyd\/web\/names=mail.example.org$/ })
  t.equal((await site.ask('/')).status, 200, 'the page is there to show it')
  const other = await site.ask('/api/login', { method: 'POST', body: { token } })
  t.equal(other.status, 200, 'and the link was not used up by that')
})

t.test('no path leads out of the page’s folder', async t => {
  const site = await webSite(t, { settings: { path: '/mail' } })
  const paths = [
    '/../secret.txt',
    '/mail/../../secret.txt',
    '/./../secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e/secret.txt',
    '/%2e%2e%2fsecret.txt',
    '/..\\secret.txt',
    '//secret.txt',
    '/mail//../secret.txt',
    `/${site.folder}/secret.txt`,
    '/web-tokens.json',
    '/console-ABCD1234.js/../../secret.txt',
    '/index.html%00.js',
    '/api/echo/..%2f..%2fsecret.txt',
    '/%',
    '/__proto__',
    '/constructor',
  ]
  for (const path of paths) {
    const { status, body } = await site.ask(path)
    t.ok(status >= 400 && status < 500, `${path}: ${status}`)
    t.notMatch(body, SECRET_FILE, path)
  }
  t.equal((await site.ask('http://localhost/index.html')).status, 400, 'a whole URL')
  t.equal((await site.ask('*')).status, 400)
  t.equal((await site.ask('/mail/')).status, 200)
  t.equal((await site.ask('/')).status, 200, 'a proxy may take the prefix away')
  t.match(await site.ask('/mail'), { status: 308, headers: { location: '/mail/' } })
  const cookie = await site.logIn()
  const { value } = await site.ask('/mail/api/echo/..%2fa%20b', { headers: { cookie } })
  t.match(value, { name: '../a b' }, 'a name is a name')
})

t.test('every answer forbids what the page does not need', async t => {
  const site = await webSite(t)
  const cookie = await site.logIn()
  const answers = [
    await site.ask('/'),
    await site.ask('/console-ABCD1234.js'),
    await site.ask('/api/echo/a', { headers: { cookie } }),
    await site.ask('/api/echo/a'),
    await site.ask('/nothing'),
    await site.ask('/', { method: 'DELETE' }),
    await site.ask('/', { headers: { host: 'evil.example' } }),
    await site.ask('/api/broken', { headers: { cookie } }),
    await site.ask('/metrics', { headers: { 'x-forwarded-for': '192.0.2.1' } }),
  ]
  t.strictSame(
    answers.map(({ status }) => status),
    [200, 200, 200, 401, 404, 405, 421, 500, 401],
  )
  for (const { status, headers } of answers) {
    const policy = headers['content-security-policy'] ?? ''
    t.match(policy, /default-src 'none'/, String(status))
    t.match(policy, /frame-ancestors 'none'/)
    t.notMatch(policy, /unsafe|\*|http/)
    t.match(headers, {
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
    })
    t.equal(headers.server, undefined)
    t.equal(headers['x-powered-by'], undefined)
  }
  const [page, script, , , , , , broken] = answers
  t.match(page?.headers['cache-control'], 'no-cache')
  t.match(script?.headers['cache-control'], 'immutable')
  t.match(broken?.headers['content-type'], /^application\/json/, 'an error is never markup')
  for (const { headers } of answers.slice(2)) t.equal(headers['cache-control'], 'no-store')
})

t.test('files are sent compressed where the browser takes that, and once', async t => {
  const site = await webSite(t)
  const path = '/console-ABCD1234.js'
  const gzip = await site.ask(path, { headers: { 'accept-encoding': 'br, gzip' } })
  t.match(gzip.headers, { 'content-encoding': 'gzip', 'content-type': /^text\/javascript/ })
  t.equal((await site.ask(path)).headers['content-encoding'], undefined)
  const none = await site.ask(path, { headers: { 'accept-encoding': 'gzip;q=0, br' } })
  t.equal(none.headers['content-encoding'], undefined)
  const etag = gzip.headers.etag ?? ''
  t.match(await site.ask(path, { headers: { 'if-none-match': etag } }), { status: 304, body: '' })
  t.match(etag, /^W\//, 'the same for both, so a weak one')
  for (const known of [
    etag.slice(2),
    etag.replace(/"$/, '-gzip"'),
    etag.replace(/"$/, ';br"'),
    `"x", ${etag}`,
    '*',
  ]) {
    t.match(await site.ask(path, { headers: { 'if-none-match': known } }), { status: 304 }, known)
  }
  for (const known of ['"x"', `${etag}x`, etag.replace(/"$/, '-other"'), '']) {
    t.match(await site.ask(path, { headers: { 'if-none-match': known } }), { status: 200 }, known)
  }
  const head = await site.ask(path, { method: 'HEAD' })
  t.match(head, { status: 200, body: '' })
  t.ok(Number(head.headers['content-length']) > 100)
})
