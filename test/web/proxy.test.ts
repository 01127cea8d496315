/** The console behind reverse proxies: below a path, by a unix socket, with and without their headers. */

import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { silentLog } from '../../daemon/assembly/configuration.ts'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { WebConsole } from '../../daemon/run/web-console.ts'
import type { WebSettings } from '../../daemon/run/web-messages.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { freePort } from '../support/free-port.ts'

const NAME = 'console.example.org'

interface ProxyKind {
  /** What nginx does with a path at the end of proxy_pass. */
  readonly takesPrefix: boolean
  readonly hasHeaders: boolean
}

/** The real thread of the console, and a proxy before it. */
async function proxied(t: Test, settings: Partial<WebSettings>, kind: ProxyKind) {
  const root = mkdtempSync(join(tmpdir(), 'web-proxy-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const paths = pathsBelow(root)
  mkdirSync(paths.state, { recursive: true })
  const log = { ...silentLog, event: () => undefined }
  const web = new WebConsole({ paths, clock: systemClock, log: () => log })
  t.teardown(() => web.close())
  const given: WebSettings = {
    port: await freePort(),
    host: join(root, 'web.sock'),
    path: '/mail',
    names: [NAME],
    ...settings,
  }
  web.use(given)
  const link = () => web.ask<'login'>({ what: 'login', role: 'change', by: 'root' })
  const { url } = await link()

  const proxy = createServer((incoming, response) => {
    const path = incoming.url ?? '/'
    const upstream = httpRequest(
      {
        ...(given.host.startsWith('/')
          ? { socketPath: given.host }
          : { host: '127.0.0.1', port: given.port }),
        method: incoming.method,
        path: kind.takesPrefix ? path.replace(/^\/mail/, '') : path,
        headers: headersFor(incoming, kind),
      },
      answer => {
        response.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(response)
      },
    )
    incoming.pipe(upstream)
  })
  const port = await freePort()
  await new Promise<void>(resolve => proxy.listen(port, '127.0.0.1', resolve))
  t.teardown(() => {
    proxy.close()
    proxy.closeAllConnections()
  })

  /** As a browser at https://NAME/mail/ does. */
  async function ask(path: string, token?: string, cookie = '') {
    const init = {
      headers: {
        'sec-fetch-site': 'same-origin',
        cookie,
        ...(token === undefined
          ? {}
          : {
              'content-type': 'application/json',
              'x-requested-with': 'mtpolicyd',
              origin: `https://${NAME}`,
            }),
      },
      ...(token === undefined ? {} : { method: 'POST', body: JSON.stringify({ token }) }),
    }
    return await fetch(`http://127.0.0.1:${port}/mail${path}`, init)
  }
  return { ask, url, link, settings: given }
}

/** What nginx sends with proxy_set_header, and without. */
function headersFor({ headers }: IncomingMessage, { hasHeaders }: ProxyKind) {
  const { host: _, connection: __, ...rest } = headers
  if (!hasHeaders) return { ...rest, host: 'localhost' }
  return {
    ...rest,
    host: NAME,
    'x-forwarded-host': NAME,
    'x-forwarded-proto': 'https',
    'x-forwarded-for': '192.0.2.7',
  }
}

for (const takesPrefix of [false, true]) {
  for (const hasHeaders of [true, false]) {
    const how = `${takesPrefix ? 'takes away the path' : 'keeps the path'}, ${hasHeaders ? 'with its headers' : 'passes on nothing'}`
    t.test(`a proxy that ${how}`, async t => {
      const { ask, url, settings } = await proxied(t, {}, { takesPrefix, hasHeaders })
      t.match(url, `https://${NAME}/mail/#login=`)
      t.equal(statSync(settings.host).mode & 0o777, 0o666, 'the proxy may open the socket')
      const login = await ask('/api/login', url.split('#login=')[1])
      t.equal(login.status, 200)
      const cookie = login.headers.get('set-cookie') ?? ''
      t.match(cookie, /Path=\/mail; HttpOnly; SameSite=Strict/)
      t.equal(/^__Secure-.*; Secure$/.test(cookie), hasHeaders)
      const session = await ask('/api/session', undefined, cookie.split(';')[0])
      t.equal(session.status, 200)
      t.equal((await ask('/api/session')).status, 401)
      t.equal((await ask('/metrics')).status, 401, 'what comes by a proxy needs a token')
    })
  }
}

t.test(
  'a proxy by TCP whose name is not listed: nobody logs in, and the message helps',
  async t => {
    const given = { host: 'localhost', names: [] }
    const { ask, url } = await proxied(t, given, { takesPrefix: false, hasHeaders: false })
    const login = await ask('/api/login', url.split('#login=')[1])
    t.equal(login.status, 403)
    t.match(await login.json(), {
      error: /mtpolicyctl set mtpolicyd\/web\/names=console.example.org/,
    })
    const named = await proxied(t, given, { takesPrefix: false, hasHeaders: true })
    t.equal((await named.ask('/api/session')).status, 421)
  },
)
