/** Every route of the API, asked by those who may not: nobody, who may only look, a page of another origin. */

import t from 'tap'
import { loginRoutes } from '../../daemon/web/login.ts'
import { LoginLinks } from '../../daemon/web/login-links.ts'
import type { Route } from '../../daemon/web/router.ts'
import { apiRoutes } from '../../daemon/web/routes/index.ts'
import { consoleApi } from '../support/console-api.ts'
import { freePort } from '../support/free-port.ts'
import { post } from '../support/web-calls.ts'
import { webSite } from '../support/web-site.ts'

/** POSTs that change nothing: what they are asked does not fit into an address. */
const QUESTIONS = ['/api/variables/check', '/api/variables/preview', '/api/tryout']

t.test('each route asks who it is, and whether they may', async t => {
  const port = await freePort()
  const console = await consoleApi(t, { variables: { 'mtpolicyd/web/port': String(port) } })
  const url = `http://localhost:${port}`
  const logIn = async (role: 'read' | 'change'): Promise<string> => {
    const { url: link } = await console.daemon.control.webLogin({ role, by: 'root' })
    const login = await post(url, '/api/login', { token: link.split('#login=')[1] })
    return login.headers.get('set-cookie')?.split(';')[0] ?? ''
  }
  const [reader, admin] = [await logIn('read'), await logIn('change')]
  const routes: readonly Route[] = apiRoutes({
    daemon: { call: never, follow: never, status: never },
    paths: console.paths,
    clock: { now: Date.now, after: () => () => undefined },
    log: () => undefined,
  })
  t.ok(routes.length > 20, `${routes.length} routes`)
  const ask = (
    { method, path }: Pick<Route, 'method' | 'path'>,
    headers: Readonly<Record<string, string>>,
  ): Promise<Response> =>
    fetch(new URL(path.replace(/:\w+/, 'alice'), url), {
      method,
      headers,
      signal: AbortSignal.timeout(20_000),
      ...(method === 'POST' ? { body: '{}' } : {}),
    })
  const own = { 'content-type': 'application/json', 'x-requested-with': 'mtpolicyd', origin: url }
  const statusOf = async (...given: Parameters<typeof ask>): Promise<number> => {
    const answer = await ask(...given)
    await answer.body?.cancel()
    return answer.status
  }
  for (const route of routes) {
    const { method, path, role } = route
    const what = `${method} ${path}`
    t.equal(await statusOf(route, own), 401, `${what}: nobody`)
    const isRead = method === 'GET' || QUESTIONS.includes(path)
    t.equal(role, isRead ? 'read' : 'change', what)
    if (!isRead) t.equal(await statusOf(route, { ...own, cookie: reader }), 403, `${what}: reader`)
    if (method === 'GET') continue
    const from = (headers: object) => statusOf(route, { ...own, cookie: admin, ...headers })
    t.equal(await from({ origin: 'https://evil.example' }), 403, `${what}: another page`)
    t.equal(await from({ 'sec-fetch-site': 'cross-site' }), 403, `${what}: another site`)
    t.equal(await from({ 'content-type': 'text/plain' }), 415, `${what}: a form`)
    const hasGet = routes.some(one => one.method === 'GET' && one.path === path)
    const get = await statusOf({ method: 'GET', path }, { cookie: admin })
    t.equal(get, hasGet ? 200 : 405, `${what}: by a link`)
  }
  const { items } = await console.daemon.control.measures({ account: 'alice', from: '0' })
  t.strictSame(items, [], 'nothing was ordered')
  t.match((await console.get('variables/undo')).body, { changes: [] })
})

t.test('without a session one can log in and out, and nothing else', async t => {
  const site = await webSite(t)
  const { tokens, sessions, attempts } = site
  const log = (): void => undefined
  const links = new LoginLinks(Date.now)
  const open = loginRoutes({ tokens, sessions, attempts, links, log, logFailure: log })
  t.strictSame(
    open.map(({ method, path, role }) => [method, path, role]),
    [
      ['POST', '/api/login', 'nobody'],
      ['POST', '/api/logout', 'nobody'],
    ],
  )
})

const never = (): Promise<never> => Promise.reject(new Error('not asked'))
