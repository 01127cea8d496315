/**
 * Open consoles: each reads the events of the web console, and /metrics once a second.
 *
 *   bench/consoles.ts PORT TOKEN CONSOLES      TOKEN: what is behind `#login=` in a login link
 *
 * Prints `1` when all have had their first event, and at SIGTERM ends with a line of JSON, one field per
 * member of `Consoled`. A console that is turned away ends the program.
 */

import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'

export interface Consoled {
  /** Bytes of events, and readings of /metrics. */
  readonly bytes: number
  readonly readings: number
}

if (import.meta.main) await run()

async function run(): Promise<void> {
  const [port = '', token = '', count = ''] = process.argv.slice(2)
  const origin = `http://localhost:${port}`
  let [bytes, readings] = [0, 0]

  function ask(path: string, headers: Record<string, string>, body?: string) {
    const method = body === undefined ? 'GET' : 'POST'
    return new Promise<IncomingMessage>((resolve, reject) => {
      const asked = request(`${origin}${path}`, { method, headers, agent: false }, resolve)
      asked.once('error', reject)
      asked.end(body)
    })
  }

  async function login(): Promise<string> {
    const headers = { 'content-type': 'application/json', 'x-requested-with': 'mtpolicyd', origin }
    const reply = await ask('/api/login', headers, JSON.stringify({ token }))
    const [cookie = ''] = reply.headers['set-cookie'] ?? []
    if (cookie === '') throw new Error(`login: ${reply.statusCode} ${await text(reply)}`)
    return cookie.split(';', 1)[0] ?? ''
  }

  async function open(cookie: string): Promise<void> {
    const events = await ask('/api/events', { cookie, accept: 'text/event-stream' })
    if (events.statusCode !== 200) throw new Error(`events: ${events.statusCode}`)
    await new Promise<void>(resolve => {
      events.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        resolve()
      })
    })
    events.once('close', () => {
      throw new Error('the console has closed its events')
    })
  }

  async function readMetrics(): Promise<void> {
    const reply = await ask('/metrics', { accept: 'application/openmetrics-text' })
    const metrics = await text(reply)
    if (!metrics.endsWith('# EOF\n')) throw new Error(`metrics: ${reply.statusCode} ${metrics}`)
    readings++
  }

  const cookie = await login()
  const consoles = Array.from({ length: Number(count) }, () => open(cookie))
  await Promise.all(consoles)
  for (const [i] of consoles.entries()) {
    // Not all in the same moment.
    setTimeout(() => setInterval(() => void readMetrics(), 1000), (i * 1000) / consoles.length)
  }
  process.once('SIGTERM', () => {
    const done: Consoled = { bytes, readings }
    process.stdout.write(`${JSON.stringify(done)}\n`, () => process.exit(0))
  })
  process.stdout.write('1\n')
}
