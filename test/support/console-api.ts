/**
 * The console's API in front of a real daemon with a real history, below a folder of its own. Requests go
 * through the router; what the server does before (sessions, where a POST comes from) has its own tests.
 */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { findConfiguration } from '../../daemon/assembly/configuration.ts'
import { type Paths, pathsBelow } from '../../daemon/assembly/paths.ts'
import { daemonClient } from '../../daemon/cli/daemon-client.ts'
import { openRegistry } from '../../daemon/registry/registry.ts'
import { Daemon } from '../../daemon/run/daemon.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { daemonAt } from '../../daemon/web/daemon.ts'
import { type EventReply, WebError } from '../../daemon/web/reply.ts'
import { type Context, type Handler, Router, type Services } from '../../daemon/web/router.ts'
import { apiRoutes } from '../../daemon/web/routes/index.ts'
import { runCommand } from './command.ts'
import { askPort } from './daemon.ts'
import { freePort } from './free-port.ts'

export interface Answered<T> {
  readonly status: number
  /** As JSON was read back. */
  readonly body: T & { readonly error?: string }
}

export interface ConsoleApi {
  readonly paths: Paths
  readonly daemon: Daemon
  /** The action that a mail gets: a message at its end, unless the attributes say otherwise. */
  mail(attributes: Readonly<Record<string, string>>): Promise<string>
  /** A path below /api/, with its query. */
  get<T>(path: string): Promise<Answered<T>>
  post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<Answered<T>>
  /** Server-sent events, until the test ends: their texts so far. */
  events(): Promise<readonly string[]>
  /** Runs mtpolicyctl; its output. */
  ctl(...argv: string[]): Promise<string>
}

export interface ConsoleApiOptions {
  readonly variables?: Readonly<Record<string, string>>
  readonly now?: () => number
  /** Who sets variables: by default a socket in the test, as systemd would have it. */
  readonly changes?: 'by the program'
}

export async function consoleApi(
  t: Test,
  { variables = {}, now = systemClock.now, changes }: ConsoleApiOptions = {},
): Promise<ConsoleApi> {
  const root = mkdtempSync(join(tmpdir(), 'console-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const paths = pathsBelow(root)
  mkdirSync(paths.state, { recursive: true })
  const ctl = async (...argv: string[]): Promise<string> => {
    let text = ''
    const out = (more: string): void => {
      text += more
    }
    await runCommand(argv, { root, out, err: out, daemon: daemonClient(paths.control) })
    return text
  }
  const port = await freePort()
  const settings = Object.entries({
    'mtpolicyd/port': String(port),
    'mtpolicyd/maillog': 'none',
    'mtpolicyd/allowedcountries': '*',
    'mtpolicyd/history/days': '90',
    ...variables,
  })
  await ctl('set', ...settings.map(([name, value]) => `${name}=${value}`))
  const clock = { ...systemClock, now }
  const daemon = await Daemon.start({
    paths,
    source: () => findConfiguration(paths, undefined),
    clock,
    debug: 0,
    priorities: false,
    control: true,
    supervisor: {
      isPresent: false,
      sockets: [],
      ready: () => undefined,
      reloading: () => undefined,
      stopping: () => undefined,
    },
  })
  t.teardown(() => daemon.stop(1000))
  if (changes === undefined) await serveChanges(t, paths, daemon)
  const services: Services = {
    daemon: daemonAt(paths.control, systemClock),
    paths,
    clock,
    log: () => undefined,
  }
  const router = new Router(apiRoutes(services))
  const ended = new AbortController()
  t.teardown(() => ended.abort())

  async function handled(
    method: 'GET' | 'POST',
    target: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<Awaited<ReturnType<Handler>>> {
    const url = new URL(`/api/${target}`, 'http://localhost')
    const found = router.find(method, url.pathname)
    if (typeof found !== 'object' || !('route' in found)) throw new WebError(404, 'no page')
    const context: Context = {
      method,
      path: url.pathname,
      params: found.params,
      query: url.searchParams,
      body,
      session: { role: 'change', name: 'alice', until: Number.POSITIVE_INFINITY },
      by: 'console (alice)',
      language: 'en',
      signal,
    }
    // Nothing but login and logout needs it.
    const exchange = { client: 'local', cookies: [], cookie: () => '' }
    return await found.route.handle(context, exchange)
  }

  async function answered<T>(
    method: 'GET' | 'POST',
    target: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<Answered<T>> {
    try {
      const reply = await handled(method, target, body, signal)
      if (reply.kind !== 'whole') throw new Error('a stream of events was not expected')
      return { status: reply.status, body: JSON.parse(String(reply.body)) }
    } catch (error) {
      if (!(error instanceof WebError)) throw error
      return { status: error.status, body: JSON.parse(JSON.stringify({ error: error.message })) }
    }
  }

  let instances = 0
  return {
    paths,
    daemon,
    ctl,
    get: path => answered('GET', path, undefined, ended.signal),
    post: (path, body, signal = ended.signal) => answered('POST', path, body, signal),
    async mail(attributes) {
      const answer = await askPort(port, {
        request: 'smtpd_access_policy',
        protocol_state: 'END-OF-MESSAGE',
        instance: `console.${instances++}`,
        sasl_username: 'alice',
        client_address: '192.0.2.7',
        client_name: 'mail.example.net',
        recipient_count: '1',
        size: '1000',
        ...attributes,
      })
      return (answer ?? '').replace(/^action=/, '')
    },
    async events() {
      const reply: EventReply | { kind: 'whole' } = await handled(
        'GET',
        'events',
        undefined,
        ended.signal,
      )
      if (reply.kind !== 'events') throw new Error('expected a stream of events')
      const texts: string[] = []
      const left = reply.start({
        send(text) {
          texts.push(text)
          return true
        },
      })
      t.teardown(left)
      return texts
    },
  }
}

/** As univention-mtpolicyd-change.socket: each connection runs `mtpolicyctl serve-change`. */
async function serveChanges(t: Test, paths: Paths, daemon: Daemon): Promise<void> {
  const { root, templates } = paths
  const open = () => openRegistry({ root, env: {} })
  const registry = {
    open,
    names: () => open().snapshot().merged.keys(),
    templates,
    check: () => [],
    reload: async () => {
      await daemon.reload()
    },
  }
  const server = createServer({ allowHalfOpen: true }, socket => {
    let request = ''
    socket.on('data', chunk => {
      request += String(chunk)
    })
    socket.on('end', async () => {
      const read = () => request
      await runCommand(['serve-change'], { root, read, registry, out: text => socket.end(text) })
    })
  })
  await new Promise<void>(resolve => server.listen(paths.change, resolve))
  t.teardown(() => server.close())
}
