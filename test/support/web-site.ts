/**
 * The web console's server in the test's own process, on a port of loopback: real requests, with a few
 * routes that show what they get. The page's folder has a page and a script; beside it is a file that nobody
 * may see.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Test } from 'tap'
import type { WebSettings } from '../../daemon/run/web-messages.ts'
import { Assets } from '../../daemon/web/assets.ts'
import { Attempts } from '../../daemon/web/attempts.ts'
import { Connections } from '../../daemon/web/connections.ts'
import type { Daemon } from '../../daemon/web/daemon.ts'
import { EventHub } from '../../daemon/web/event-stream.ts'
import { loginRoutes } from '../../daemon/web/login.ts'
import { LoginLinks } from '../../daemon/web/login-links.ts'
import { events, json, WebError } from '../../daemon/web/reply.ts'
import { type Route, Router } from '../../daemon/web/router.ts'
import { makeServer, type Times } from '../../daemon/web/server.ts'
import { Sessions } from '../../daemon/web/sessions.ts'
import { Site } from '../../daemon/web/site.ts'
import { Tokens } from '../../daemon/web/tokens.ts'
import { freePort } from './free-port.ts'
import { virtualClock } from './virtual-clock.ts'

export const SECRET_FILE = 'nobody may read this'

const patient: Times = { headers: 10_000, request: 20_000, silence: 60_000, look: 100 }

/** Of a daemon that does not run. */
const noDaemon: Daemon = {
  call: () => Promise.reject(new WebError(503, 'the daemon is not running')),
  follow: () => Promise.reject(new WebError(503, 'the daemon is not running')),
  status: () => Promise.reject(new WebError(503, 'the daemon is not running')),
}

interface SiteGiven {
  readonly settings?: Partial<WebSettings>
  readonly times?: Partial<Times>
  readonly most?: number
  readonly daemon?: Daemon
  /** Of a site before: its state is taken over. */
  readonly folder?: string
}

export type Answered = Awaited<ReturnType<Awaited<ReturnType<typeof webSite>>['ask']>>

export async function webSite(t: Test, given: SiteGiven = {}) {
  const folder = given.folder ?? mkdtempSync(join(tmpdir(), 'web-'))
  if (!given.folder) t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const page = join(folder, 'page')
  mkdirSync(page, { recursive: true })
  const script = `/* ${'script '.repeat(100)} */`
  writeFileSync(join(folder, 'secret.txt'), SECRET_FILE)
  writeFileSync(join(page, 'index.html'), '<!doctype html><title>page</title>')
  writeFileSync(join(page, 'console-ABCD1234.js'), script)
  writeFileSync(join(page, 'console-ABCD1234.js.gz'), gzipSync(script))

  const port = await freePort()
  const clock = virtualClock()
  const settings: WebSettings = { port, host: 'localhost', path: '', names: [], ...given.settings }
  const lines: string[] = []
  const log = (line: string): void => void lines.push(line)
  const kept = (name: string) => ({ path: join(folder, name), now: clock.now, log })
  const doors = {
    tokens: new Tokens(kept('web-tokens.json')),
    sessions: new Sessions(kept('web-sessions.json')),
    attempts: new Attempts(clock.now),
  }
  const links = new LoginLinks(clock.now)
  const hub = new EventHub()
  const routes: readonly Route[] = [
    ...loginRoutes({ ...doors, links, log, logFailure: log }),
    {
      method: 'GET',
      path: '/api/echo/:name',
      role: 'read',
      handle: ({ params, by, language }) => json({ name: params.name, by, language }),
    },
    {
      method: 'POST',
      path: '/api/change',
      role: 'change',
      handle: ({ body, by }) => json({ body, by }),
    },
    {
      method: 'GET',
      path: '/api/broken',
      role: 'read',
      handle: () => {
        throw new Error('<script>alert(1)</script>')
      },
    },
    { method: 'GET', path: '/api/events', role: 'read', handle: () => events(hub.join) },
  ]
  const site = new Site({
    ...doors,
    settings,
    router: new Router(routes),
    daemon: given.daemon ?? noDaemon,
    assets: new Assets(page),
    clock,
    logFailure: log,
  })
  const connections = new Connections({ most: given.most ?? 512, mostPerAddress: 64 })
  const server = makeServer(site, connections, { ...patient, ...given.times })
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })

  const own = `http://localhost:${port}`
  /** As the page does it: headers that are given replace those, `undefined` leaves one out. */
  async function ask(
    path: string,
    {
      method = 'GET',
      body,
      headers = {},
    }: {
      readonly method?: string
      readonly body?: unknown
      readonly headers?: Readonly<Record<string, string | undefined>>
    } = {},
  ) {
    const usual: Record<string, string | undefined> =
      method === 'POST'
        ? {
            'content-type': 'application/json',
            'x-requested-with': 'mtpolicyd',
            origin: own,
            'sec-fetch-site': 'same-origin',
          }
        : {}
    const sent = Object.entries({ host: `localhost:${port}`, ...usual, ...headers })
    const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body)
    const head = sent.flatMap(([name, value]) => (value === undefined ? [] : `${name}: ${value}`))
    const length = method === 'POST' ? [`content-length: ${Buffer.byteLength(text)}`] : []
    const raw = await exchange(
      port,
      [`${method} ${path} HTTP/1.1`, ...head, ...length, 'connection: close', '', text].join(
        '\r\n',
      ),
    )
    return parsed(raw)
  }

  /** The cookie of a new login. */
  async function logIn(role: 'read' | 'change' = 'change', headers = {}): Promise<string> {
    const token = links.make({ role, name: 'root' })
    const { cookie } = await ask('/api/login', { method: 'POST', body: { token }, headers })
    if (cookie === undefined) throw new Error('no login')
    return cookie
  }

  return { ...doors, links, hub, clock, lines, port, own, folder, connections, server, ask, logIn }
}

/** Sends bytes as they are, and reads until the server closes. */
export function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    socket.setEncoding('latin1')
    socket.on('data', chunk => {
      answer += chunk
    })
    socket.once('error', error => (answer === '' ? reject(error) : resolve(answer)))
    socket.once('close', () => resolve(answer))
    socket.write(text)
  })
}

export function parsed(raw: string) {
  const end = raw.indexOf('\r\n\r\n')
  const [line = '', ...fields] = raw.slice(0, end).split('\r\n')
  const headers = Object.fromEntries(
    fields.map(field => {
      const at = field.indexOf(':')
      return [field.slice(0, at).toLowerCase(), field.slice(at + 1).trim()]
    }),
  )
  const body = raw.slice(end + 4)
  const cookie = headers['set-cookie']?.split(';')[0]
  const isJson = headers['content-type']?.startsWith('application/json') === true
  // What tests compare it with shows what it is.
  const value: unknown = isJson && body !== '' ? JSON.parse(body) : undefined
  return { status: Number(line.split(' ')[1]), headers, body, cookie, value, raw }
}
