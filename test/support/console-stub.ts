/**
 * A console server that answers from described data (console-data.ts) and remembers what was ordered: for tests of
 * the page alone. Its headers are as strict as the real one's.
 */

import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import type * as Api from '../../daemon/web/api.ts'
import {
  accounts,
  countries,
  findingsAt,
  HACKED,
  HOUR,
  MARKUP,
  refusalsAt,
  seriesOf,
  statusAt,
  top,
  variableList,
} from './console-data.ts'

export const LOGIN_LINK = 'once-Abc123'
export const READ_TOKEN = 'read-token'
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

export interface ConsoleStub {
  /** With the prefix, ends with a slash. */
  readonly address: string
  /** POSTs that came, in their order. */
  readonly posts: { readonly path: string; readonly body: Record<string, unknown> }[]
  /** Answers all calls from now on with this status; undefined: as usual. */
  fail: number | undefined
  /** Requests for events that have failed. */
  readonly refusedEvents: number
  /** Ends all streams of events. */
  dropEvents(): void
  close(): Promise<void>
}

interface Answer {
  readonly status?: number
  readonly body: unknown
  readonly cookie?: string
}
const failure = (status: number, error: string): Answer => ({ status, body: { error } })

/** @param role of whoever comes without logging in; undefined: nobody may. */
export async function consoleStub(
  folder: string,
  { prefix = '', role, port = 0 }: { prefix?: string; role?: Api.Role; port?: number } = {},
): Promise<ConsoleStub> {
  const now = Date.now()
  const refusals = refusalsAt(now)
  const variables = variableList()
  const measures: Api.Measure[] = []
  const audit: Api.AuditEntry[] = []
  const changes: Api.ConsoleChange[] = []
  const posts: ConsoleStub['posts'] = []
  let loggedIn = role
  let refusedEvents = 0
  const streams = new Set<ServerResponse>()
  let isLinkSpent = false

  const session = (): Api.Session => ({
    user: loggedIn === 'read' ? 'helpdesk' : 'root',
    role: loggedIn ?? 'read',
    host: 'mail.example.org',
    version: '0.2.0',
  })

  function order(
    kind: 'block' | 'allow' | 'limit',
    account: string,
    body: Record<string, unknown>,
  ) {
    const text = (name: string) => String(body[name] ?? '')
    const days = /^\+(\d+)d$/.exec(text('until'))?.[1]
    const until = days ? new Date(Date.now() + Number(days) * 24 * HOUR).toISOString() : null
    const value =
      kind === 'allow' ? text('countries') : kind === 'limit' ? `${text('threshold')} per day` : ''
    const at = new Date().toISOString()
    const measure = { account, kind, value, at, until, by: 'console (root)', why: text('reason') }
    measures.push(measure)
    audit.unshift({ ...measure, state: 'in force', ended: null, endedBy: '' })
    return { body: { measure, replaced: [] } }
  }

  function account(name: string): Api.Account {
    const own = refusals.filter(line => line.account === name).slice(0, 100)
    const isHacked = name === HACKED
    const used = isHacked ? 1000 : 41
    return {
      account: name,
      observes: false,
      limits: [
        {
          name: 'threshold',
          per: 'user',
          unit: 'recipients',
          window: 'day',
          subject: name,
          used,
          limit: 1000,
          again: now + 5 * HOUR,
          ...(isHacked ? { next: 'reject' } : {}),
        },
        {
          name: 'threshold-hour',
          per: 'user',
          unit: 'recipients',
          window: '1h',
          subject: name,
          used: isHacked ? 172 : 3,
          limit: 200,
          again: null,
        },
      ],
      measures: measures.filter(measure => measure.account === name),
      history: { state: 'ok', days: 90 },
      countries: (isHacked ? ['BR', 'VN', 'RU', 'IN', 'DE', MARKUP] : ['DE']).map(
        (country, index) => ({
          name: country,
          first: now - (country === 'DE' ? 60 * 24 : 7 + index) * HOUR,
          last: now - (index + 1) * HOUR,
          messages: 200 - index * 31,
        }),
      ),
      networks: [1, 2, 3].map(index => ({
        name: `203.0.${112 + index}.0/24`,
        first: now - 9 * index * HOUR,
        last: now - index * HOUR,
        messages: 61 * index,
      })),
      messages: Array.from({ length: 24 }, (_, index) => ({
        at: now - index * 700_000,
        instance: `i${index}`,
        queueId: `4XyZ${index}`,
        client: `203.0.113.${index}`,
        country: isHacked ? (['BR', 'VN', 'RU'][index % 3] ?? '') : 'DE',
        recipients: 1 + (index % 7),
        bytes: 2400 + index * 3100,
        action: 'dunno',
        by: '',
        code: isHacked && index % 3 === 0 ? (own[index]?.code ?? '') : '',
      })),
      refusals: own,
    }
  }

  function why(code: string): Answer {
    const line = refusals.find(one => one.code === code)
    if (!line) return failure(404, `no refusal with the code ${code} is known`)
    const refusal: Api.Refusal = {
      ...line,
      host: 'default',
      why: 'limit',
      facts: {},
      attributes: {
        sasl_username: line.account,
        sender: line.sender,
        helo_name: line.helo,
        client_address: line.client,
        recipient_count: String(line.recipients),
        size: String(line.bytes),
        protocol_state: 'END-OF-MESSAGE',
      },
      steps: [
        {
          plugin: 'allowed-countries',
          module: 'AllowedCountries',
          saw: { country: line.country, allowed: 'DE,AT,CH' },
          outcome: line.by === 'allowed-countries' ? `action: ${line.action}` : 'nothing',
          place: 'mtpolicyd/allowedcountries',
        },
        {
          plugin: 'threshold',
          module: 'SendingLimit',
          saw: { used: 1000, limit: 1000, window: 'day' },
          outcome: line.by === 'threshold' ? `action: ${line.action}` : 'nothing',
          place: 'mtpolicyd/threshold',
        },
      ],
    }
    const body: Api.Why = {
      refusal,
      others: [],
      days: 90,
      rule: `${line.by} (${line.by === 'threshold' ? 'SendingLimit' : 'AllowedCountries'})`,
      place: line.by === 'threshold' ? 'mtpolicyd/threshold' : 'mtpolicyd/allowedcountries',
      found: '',
      remedies: [
        {
          text: 'Allow this account a higher limit for a day:',
          command: `mtpolicyctl limit ${line.account} 5000 --until +1d`,
        },
      ],
      further: [],
    }
    return { body }
  }

  function check({ name, value }: { name?: unknown; value?: unknown }): Answer {
    const text = String(value)
    const isLimit = String(name).includes('threshold')
    const ok = isLimit ? /^(\d+|unlimited)$/.test(text) : /^(\*|[A-Z]{2}(,[A-Z]{2})*)$/i.test(text)
    const isFree = !isLimit && !String(name).includes('countries')
    const body: Api.CheckAnswer =
      ok || isFree
        ? { ok: true, value: text.toUpperCase() }
        : {
            ok: false,
            expected: isLimit
              ? 'expected a whole number from 0 to 1,000,000,000, or unlimited'
              : 'expected ISO 3166 codes separated by commas, or *',
          }
    return { body }
  }

  function preview(given: Record<string, unknown>): Answer {
    const diff = Object.entries((given.changes ?? {}) as Api.Changes) // the page's own request
      .map(
        ([name, value]) => `@@ -14,7 +14,7 @@\n   ${name}\n-  limit = 1000\n+  limit = ${value}\n`,
      )
      .join('')
    const file = '/etc/univention-mtpolicyd/mtpolicyd.conf'
    const body: Api.PreviewAnswer = { files: [{ file, diff }], notices: [], canBeSet: true }
    return { body }
  }

  function set(given: Record<string, unknown>): Answer {
    const wanted = Object.entries((given.changes ?? {}) as Api.Changes) // the page's own request
    const values = wanted.map(([name, after]) => {
      const index = variables.findIndex(one => one.name === name)
      const before = variables[index]?.set ?? null
      const old = variables[index]
      if (old && after !== null) {
        variables[index] = { ...old, value: after, set: after, layer: 'normal' }
      }
      return { name, before, after }
    })
    const change = {
      id: `c${changes.length}`,
      at: Date.now(),
      by: 'console (root)',
      values,
      undone: false,
    }
    changes.unshift(change)
    return { body: { change, notices: [] } }
  }

  function tryout(): Answer {
    const stopped = (times: number, recipients: number, by: string[]) => ({
      times,
      recipients,
      first: times === 0 ? null : now - 3 * 24 * HOUR,
      by,
    })
    const body: Api.TryoutAnswer = {
      source: 'mail log',
      since: now - 7 * 24 * HOUR,
      until: now,
      looked: 21_442,
      isPartial: false,
      now: { accounts: 1, times: 588, recipients: 9411 },
      tried: { accounts: 3, times: 702, recipients: 10_233 },
      accounts: [
        {
          account: HACKED,
          now: stopped(588, 9411, ['threshold']),
          tried: stopped(641, 9930, ['threshold']),
        },
        {
          account: 'newsletter@example.org',
          now: stopped(0, 0, []),
          tried: stopped(58, 290, ['threshold']),
        },
        {
          account: accounts[2] ?? '',
          now: stopped(0, 0, []),
          tried: stopped(3, 13, ['threshold']),
        },
      ],
      notes: [],
    }
    return { body }
  }

  function list(query: URLSearchParams): Answer {
    const fits = (name: string, value: string) => {
      const wanted = query.get(name)
      return wanted === null || value === wanted
    }
    const found = refusals.filter(
      line =>
        fits('account', line.account) &&
        fits('country', line.country) &&
        fits('rule', line.by) &&
        line.code.startsWith(query.get('code') ?? '') &&
        line.at >= Number(query.get('since') ?? 0),
    )
    const from = Number(query.get('before') ?? 0)
    const most = Number(query.get('most') ?? 50)
    const next = from + most < found.length ? String(from + most) : undefined
    return { body: { refusals: found.slice(from, from + most), next, days: 90 } }
  }

  function answerGet(path: string, query: URLSearchParams): Answer {
    const [first = '', name = '', part = ''] = path.split('/').map(decodeURIComponent)
    const since = Number(query.get('since') ?? now - 14 * 24 * HOUR)
    switch (first) {
      case 'session':
        return { body: session() }
      case 'today':
        return {
          body: {
            since,
            until: now,
            status: statusAt(now),
            history: { state: 'ok', days: 90 },
            series: seriesOf(since, now, now),
            countries,
            top,
          } satisfies Api.Today,
        }
      case 'findings':
        return { body: findingsAt(now, query.get('lang') ?? 'en') }
      case 'accounts': {
        const prefix = query.get('prefix') ?? ''
        return { body: { accounts: accounts.filter(one => one.startsWith(prefix)) } }
      }
      case 'account':
        if (part === 'audit')
          return { body: { entries: audit.filter(one => one.account === name) } }
        if (part === 'series') {
          const series = seriesOf(now - 14 * 24 * HOUR, now, now)
          return { body: { account: name, since, until: now, series } }
        }
        return { body: account(name) }
      case 'refusals':
        return list(query)
      case 'why':
        return why(name)
      case 'variables':
        return name === 'undo' ? { body: { changes } } : { body: { variables } }
      default:
        return failure(404, 'there is no such page')
    }
  }

  function answerPost(path: string, body: Record<string, unknown>): Answer {
    const [first = '', name = '', part = ''] = path.split('/').map(decodeURIComponent)
    posts.push({ path, body })
    if (path === 'logout') {
      loggedIn = undefined
      return { body: {} }
    }
    if (loggedIn === 'read' && !['variables/check', 'variables/preview', 'tryout'].includes(path)) {
      return failure(403, 'this login may only read')
    }
    if (first === 'account') {
      if (part === 'block' || part === 'allow' || part === 'limit') return order(part, name, body)
      if (part === 'reset') {
        const count = { name: 'threshold', window: 'day', unit: 'recipients', used: 1000 }
        return { body: { counts: [count] } }
      }
      const released = measures.filter(measure => measure.account === name)
      for (const measure of released) measures.splice(measures.indexOf(measure), 1)
      return { body: { released } }
    }
    if (path === 'variables/check') return check(body)
    if (path === 'variables/preview') return preview(body)
    if (path === 'variables/set') return set(body)
    if (path === 'variables/undo') {
      const index = changes.findIndex(change => change.id === body.id)
      const change = changes[index]
      if (!change) return failure(404, 'there is no such change')
      changes[index] = { ...change, undone: true }
      return { body: { change, notices: [] } }
    }
    return path === 'tryout' ? tryout() : failure(404, 'there is no such page')
  }

  function logIn(token: unknown): Answer {
    if (token === LOGIN_LINK && !isLinkSpent) {
      isLinkSpent = true
      loggedIn = 'change'
    } else if (token === READ_TOKEN) loggedIn = 'read'
    else return failure(401, 'this token is not valid')
    return { body: session() }
  }

  function events(response: ServerResponse): void {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    const send = (event: string, data: unknown) =>
      response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
    let turn = 0
    const verdict = () => {
      turn++
      const isRefused = turn % 3 === 0
      send('verdict', {
        at: Date.now(),
        account: isRefused ? HACKED : (accounts[(turn * 7) % accounts.length] ?? ''),
        client: `203.0.113.${turn % 250}`,
        country: isRefused ? 'BR' : 'DE',
        recipients: 1 + (turn % 4),
        action: isRefused ? 'reject' : 'dunno',
        isRefused,
        by: isRefused ? 'threshold' : '',
        code: '',
      } satisfies Api.VerdictEvent)
    }
    for (let first = 0; first < 12; first++) verdict()
    const status = () => send('status', { at: Date.now(), status: statusAt(now), left: 0 })
    status()
    const timers = [setInterval(status, 2000), setInterval(verdict, 1500)]
    streams.add(response)
    response.on('close', () => {
      streams.delete(response)
      for (const timer of timers) clearInterval(timer)
    })
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost')
    response.setHeader('Content-Security-Policy', POLICY)
    response.setHeader('X-Content-Type-Options', 'nosniff')
    if (!url.pathname.startsWith(`${prefix}/`)) {
      response.writeHead(404).end()
      return
    }
    const path = url.pathname.slice(prefix.length + 1)
    if (!path.startsWith('api/')) {
      const name = path === '' ? 'index.html' : path
      try {
        const content = readFileSync(join(folder, `${name}.gz`))
        response.setHeader('Content-Encoding', 'gzip')
        response.setHeader('Content-Type', TYPES[extname(name)] ?? 'application/octet-stream')
        response.end(content)
      } catch {
        response.writeHead(404).end()
      }
      return
    }
    const call = path.slice('api/'.length)
    const body: Record<string, unknown> = {}
    if (request.method === 'POST') {
      let text = ''
      for await (const chunk of request) text += chunk
      Object.assign(body, JSON.parse(text))
      const asked = request.headers['x-requested-with']
      if (asked !== 'mtpolicyd' || request.headers['content-type'] !== 'application/json') {
        response.writeHead(403).end('{}')
        return
      }
    }
    if (call === 'events' && loggedIn && stub.fail === undefined) return events(response)
    if (call === 'events') refusedEvents++
    const { status = 200, body: content } =
      stub.fail !== undefined
        ? failure(stub.fail, 'the daemon does not run')
        : call === 'login'
          ? logIn(body.token)
          : loggedIn === undefined
            ? failure(401, 'nobody has logged in')
            : request.method === 'POST'
              ? answerPost(call, body)
              : answerGet(call, url.searchParams)
    response.writeHead(status, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify(content))
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(error => response.destroy(error))
  })
  await new Promise<void>(done => server.listen(port, '127.0.0.1', done))
  const { port: taken } = server.address() as AddressInfo // it listens on a port
  const stub: ConsoleStub = {
    address: `http://127.0.0.1:${taken}${prefix}/`,
    posts,
    fail: undefined,
    get refusedEvents() {
      return refusedEvents
    },
    dropEvents() {
      for (const response of streams) response.end()
    },
    close: () =>
      new Promise(done => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
  return stub
}
