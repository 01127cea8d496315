/** Alerts to a webhook: a real receiver on loopback checks them, and misbehaves in every way. */

import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { webhookDelivery } from '../../daemon/alerts/delivery/webhook.ts'
import { type Outcome, WEBHOOK_FORMATS, type WebhookFormat } from '../../daemon/alerts/delivery.ts'
import { alertOf } from '../support/alerts.ts'
import { makeCertificates } from '../support/certificates.ts'

const { signal } = new AbortController()
const NOW = 1_796_111_114_567
const SECRET = 'f00dfeed'.repeat(8)

interface Received {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** Answers as the last of `answers` says, and notes what has come. */
class Receiver {
  readonly received: Received[] = []
  answer: RequestListener = (_request, response) => void response.end('ok')
  #server: Server | undefined
  #port = 0

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { method, url, headers } = request
        this.received.push({ method, url, headers, body: Buffer.concat(chunks).toString() })
        this.answer(request, response)
      })
    })
    await once(server.listen(this.#port, '127.0.0.1'), 'listening')
    // Listening on a port.
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get last(): Received {
    const last = this.received.at(-1)
    if (!last) throw new Error('nothing was received')
    return last
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections()
    await new Promise(resolve => this.#server?.close(resolve))
  }
}

async function receiver(t: Test): Promise<Receiver> {
  const made = new Receiver()
  await made.start()
  t.teardown(() => made.stop())
  return made
}

function webhook(t: Test, url: string, format: WebhookFormat = 'json', etc = t.testdir({})) {
  const options = { url, format, language: 'de', hostName: 'mail.example.org', etc } as const
  return webhookDelivery({ ...options, now: () => NOW })
}

/** As a receiver does it, from the documentation. */
function isGenuine({ headers, body }: Received, secret: string): boolean {
  const [time = '', ...signatures] = String(headers['x-mtpolicyd-signature']).split(',')
  const expected = createHmac('sha256', secret)
    .update(`${time.slice(2)}.${body}`)
    .digest('hex')
  return time === `t=${Math.floor(NOW / 1000)}` && signatures.includes(`v1=${expected}`)
}

t.test('an alert is one signed request', async t => {
  const there = await receiver(t)
  const etc = t.testdir({ 'webhook.secret': `${SECRET}\n` })
  const hook = webhook(t, `${there.origin}/hooks/a?b=c`, 'json', etc)
  t.equal(hook.batches, 'one')
  const alert = alertOf()
  t.strictSame(await hook.deliver([alert], signal), { is: 'done' })
  const { method, url, headers, body } = there.last
  t.strictSame([method, url], ['POST', '/hooks/a?b=c'])
  t.equal(headers['content-type'], 'application/json; charset=utf-8')
  t.equal(headers['x-mtpolicyd-id'], alert.id)
  t.equal(headers.authorization, undefined)
  t.ok(isGenuine(there.last, SECRET))
  t.notOk(isGenuine({ ...there.last, body: `${body} ` }, SECRET), 'a changed body is noticed')
  t.strictSame(JSON.parse(body), {
    id: alert.id,
    time: '2026-12-01T07:43:20.000Z',
    host: 'mail.example.org',
    state: 'raised',
    kind: 'account-near',
    key: alert.key,
    severity: 'note',
    account: 'alice@example.org',
    what: alert.what.de,
    why: alert.why.de,
    remedy: alert.remedy.de,
    facts: alert.facts,
  })

  writeFileSync(join(etc, 'webhook.secret'), `newer\n${SECRET}\n`)
  writeFileSync(join(etc, 'webhook.token'), 'tk_abc\n')
  await hook.deliver([alert], signal)
  t.ok(isGenuine(there.last, 'newer') && isGenuine(there.last, SECRET), 'while it is changed')
  t.equal(there.last.headers.authorization, 'Bearer tk_abc')

  rmSync(join(etc, 'webhook.secret'))
  await hook.deliver([alert], signal)
  t.notOk('x-mtpolicyd-signature' in there.last.headers, 'nothing to sign with')
  mkdirSync(join(etc, 'webhook.secret'))
  t.match(await hook.deliver([alert], signal), { is: 'later', why: /EISDIR/ }, 'not unsigned')
})

t.test('each format is what its receiver expects, and no user’s text is markup', async t => {
  const there = await receiver(t)
  const words = (text: string) => ({ en: text, de: text })
  const alert = alertOf({
    what: words('mail of <!channel> @all & *b*@example.org [x](http://evil) was refused'),
    why: words('why <b>'),
    remedy: words('mtpolicyctl block x'),
    severity: 'warning',
  })
  const sent = async (format: WebhookFormat, path: string) => {
    t.strictSame(await webhook(t, there.origin + path, format).deliver([alert], signal), {
      is: 'done',
    })
    const { method, url, body } = there.last
    return { method, url, body: JSON.parse(body) }
  }
  t.strictSame(await sent('slack', '/services/T/B/X'), {
    method: 'POST',
    url: '/services/T/B/X',
    body: {
      text:
        '[mail.example.org] warning: mail of &lt;!channel&gt; @\u200ball &amp; *b*@\u200bexample.org ' +
        '[x](http://evil) was refused.\nwhy &lt;b&gt;.\nmtpolicyctl block x',
      mrkdwn: false,
      unfurl_links: false,
      unfurl_media: false,
    },
  })
  const { body } = await sent('mattermost', '/hooks/x')
  t.equal(
    body.text.split('\n')[0],
    String.raw`\[mail.example.org\] warning: mail of &lt;\!channel\> @` +
      '\u200ball &amp; ' +
      String.raw`\*b\*@` +
      '\u200bexample.org ' +
      String.raw`\[x\]\(http://evil\) was refused.`,
  )
  const room = await sent('matrix', '/_matrix/client/v3/rooms/!r:example.org/')
  t.match(room, {
    method: 'PUT',
    url: `/_matrix/client/v3/rooms/!r:example.org/send/m.room.message/${alert.id}`,
    body: { msgtype: 'm.text', 'm.mentions': {}, body: /^\[mail.example.org\] warning: mail of/ },
  })
  t.match(await sent('matrix', '/webhook/abc'), {
    method: 'POST',
    url: '/webhook/abc',
    body: { text: /mail of/ },
  })
  t.strictSame(await sent('ntfy', '/prefix/my-topic'), {
    method: 'POST',
    url: '/prefix/',
    body: {
      topic: 'my-topic',
      title: 'mail.example.org: warning',
      message:
        'mail of <!channel> @all & *b*@example.org [x](http://evil) was refused.\nwhy <b>.\nmtpolicyctl block x',
      priority: 4,
      tags: ['warning'],
    },
  })
  const over = webhook(t, `${there.origin}/topic`, 'ntfy')
  await over.deliver([{ ...alert, state: 'cleared' }], signal)
  t.match(JSON.parse(there.last.body), { topic: 'topic', priority: 2, title: /: over$/ })
  t.equal(there.last.url, '/')
  t.equal(WEBHOOK_FORMATS.length, 5, 'all of them were tried')
})

/** As Mattermost's page shows a text without markup: these backslashes and references are read, no other ones. */
function shownByMattermost(text: string): string {
  const references = { '&lt;': '<', '&amp;': '&', '&#36;': '$' } as const
  return text
    .replaceAll(/\\([`*{}[\]()#+\-.!_>|~]|\\(?!\w))/g, '$1')
    .replaceAll(/&(?:lt|amp|#36);/g, one => references[one as keyof typeof references])
    .replaceAll('\u200b', '')
}

t.test('Mattermost shows an alert without a backslash that is not in it', async t => {
  const there = await receiver(t)
  const texts = [
    String.raw`mail of C:\dir\*x\\ from DE (2001:db8:a:b::1): 5 $ ~ ~~no~~`,
    '<http://a|b> <@abc> <!here> _i_ `code` {x} # 1. + - &lt; $x$ :100: a:b:c',
  ]
  for (const what of texts) {
    const alert = alertOf({ what: { en: what, de: what }, why: { en: '', de: '' } })
    await webhook(t, there.origin, 'mattermost').deliver([alert], signal)
    const { text } = JSON.parse(there.last.body)
    const [line = ''] = text.split('\n')
    t.equal(shownByMattermost(line), `[mail.example.org] note: ${what}.`)
    t.notMatch(line, /<|(?<!\\)[`*_~]|\$/, 'no markup')
    t.notMatch(line, /:[\w+-]+:/, 'no picture')
  }
})

t.test('no text is longer than its receiver takes', async t => {
  const there = await receiver(t)
  const name = `${'&'.repeat(120)}${'漢'.repeat(120)}@example.org`
  const words = (text: string) => ({ en: text, de: text })
  const long = alertOf({
    what: words(`mail of ${name} was refused`),
    why: words('x'.repeat(1000)),
    remedy: words(`mtpolicyctl user '${name}'; if not: mtpolicyctl block '${name}'`.repeat(4)),
  })
  for (const format of ['slack', 'mattermost', 'matrix'] as const) {
    await webhook(t, `${there.origin}/_matrix/client/v3/rooms/!r`, format).deliver([long], signal)
    const { text, body = text } = JSON.parse(there.last.body)
    t.ok(body.length <= 2000 && body.length > 1900, `${format}: ${body.length}`)
    t.match(body, /note: mail of /)
    t.match(body, /\.\.\.$/)
  }
  await webhook(t, `${there.origin}/topic`, 'ntfy').deliver([long], signal)
  const { message } = JSON.parse(there.last.body)
  const bytes = Buffer.byteLength(message)
  t.ok(bytes <= 4096 && bytes > 4000, `${bytes}`)
  await webhook(t, `${there.origin}/x`, 'json').deliver([long], signal)
  t.equal(JSON.parse(there.last.body).what, long.what.de, 'a program gets all of it')
})

t.test('what a receiver answers decides whether the alert is sent again', async t => {
  const there = await receiver(t)
  const deliver = (status: number, headers = {}, text = ''): Promise<Outcome> => {
    there.answer = (_request, response) => void response.writeHead(status, headers).end(text)
    return webhook(t, `${there.origin}/secret-path`).deliver([alertOf()], signal)
  }
  for (const status of [200, 201, 202, 204]) {
    t.strictSame(await deliver(status), { is: 'done' }, `${status}`)
  }
  for (const status of [401, 403, 404, 408, 429, 500, 502, 503]) {
    t.match(await deliver(status), { is: 'later', why: new RegExp(`: it answers ${status}$`) })
  }
  for (const status of [400, 413, 422]) t.match(await deliver(status), { is: 'refused' })
  t.strictSame(await deliver(503, { 'retry-after': '120' }, '<h1>Wartung\u0007\n\n</h1>'), {
    is: 'later',
    why: `${there.origin}: it answers 503 (<h1>Wartung\\x07 </h1>)`,
    milliseconds: 120_000,
  })
  t.match(await deliver(429, { 'retry-after': '30.376' }), { milliseconds: 30_376 }, 'as Discord')
  t.match(await deliver(503, { 'retry-after': '999999999' }), { milliseconds: 3_600_000 })
  t.notMatch(JSON.stringify(await deliver(404)), 'secret-path', 'the path may be a password')
})

t.test('an answer that repeats the request makes no secret known', async t => {
  const there = await receiver(t)
  const path = '/hooks/T0AB/secret-path?key=secret%20key&room=x'
  const etc = t.testdir({ 'webhook.token': 'secret-token\n' })
  const deliver = async (): Promise<string> =>
    JSON.stringify(
      await webhook(t, `${there.origin}${path}`, 'json', etc).deliver([alertOf()], signal),
    )
  const answers: RequestListener[] = [
    // As many frameworks do.
    ({ method, url }, response) => response.end(`Cannot ${method} ${url}`),
    ({ url = '' }, response) => response.end(`Cannot POST ${url.replaceAll('&', '&amp;')}`),
    ({ url = '' }, response) => response.end(`No route for ${decodeURIComponent(url)}`),
    (_, response) => response.end('no hook "T0AB/secret-path", no key "secret key"'),
    ({ url }, response) => response.end(`${'x'.repeat(190)} ${url}`),
    ({ headers }, response) => response.end(`bad token ${headers.authorization}`),
  ]
  for (const answer of answers) {
    for (const status of [404, 422]) {
      there.answer = (request, response) => {
        response.statusCode = status
        answer(request, response)
      }
      const outcome = await deliver()
      t.match(outcome, `it answers ${status} (`)
      t.match(outcome, '***')
      t.notMatch(outcome, /secret/)
    }
  }
})

t.test('a redirection is not followed', async t => {
  const [there, elsewhere] = [await receiver(t), await receiver(t)]
  for (const status of [301, 302, 303, 307, 308]) {
    there.answer = (_request, response) => {
      response.writeHead(status, { location: `${elsewhere.origin}/?token=1` }).end()
    }
    t.strictSame(await webhook(t, there.origin).deliver([alertOf()], signal), {
      is: 'later',
      why: `${there.origin}: it answers ${status} (${elsewhere.origin}); redirections are not followed, set the URL it leads to`,
    })
  }
  t.strictSame(elsewhere.received, [])
})

t.test('a receiver that stops, and comes back, gets the alert then', async t => {
  const there = await receiver(t)
  const hook = webhook(t, there.origin)
  await there.stop()
  t.match(await hook.deliver([alertOf()], signal), { is: 'later', why: /ECONNREFUSED/ })
  await there.start()
  t.strictSame(await hook.deliver([alertOf()], signal), { is: 'done' })
  t.equal(there.received.length, 1)
})

t.test('nothing that a receiver does makes it fail otherwise than "later"', async t => {
  const there = await receiver(t)
  const hook = webhook(t, there.origin)
  there.answer = request => request.socket.destroy()
  t.match(await hook.deliver([alertOf()], signal), { is: 'later', why: /hang up|ECONNRESET/ })
  there.answer = (_request, response) => {
    response.writeHead(500)
    const flood = (): void => void (response.write('x'.repeat(65_536)) && setImmediate(flood))
    response.on('drain', flood)
    flood()
  }
  const flooded = await hook.deliver([alertOf()], signal)
  t.match(flooded, { is: 'later', why: /: it answers 500 \(x{200}\)$/ }, 'a reply without an end')
  const garbage = createTcpServer((socket: Socket) => {
    socket.on('error', () => undefined)
    socket.end('220 mail.example.org ESMTP\r\n'.repeat(1000))
  })
  await once(garbage.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => garbage.close())
  // Listening on a port.
  const { port } = garbage.address() as AddressInfo
  t.match(await webhook(t, `http://127.0.0.1:${port}/`).deliver([alertOf()], signal), {
    is: 'later',
    why: /Parse Error|ECONNRESET|hang up/,
  })
  for (const url of ['ftp://127.0.0.1/', 'x', '']) {
    t.match(await webhook(t, url).deliver([alertOf()], signal), { is: 'refused', why: /http/ })
  }
})

t.test(
  'a receiver that never answers costs ten seconds; a stop of the daemon ends that',
  async t => {
    const there = await receiver(t)
    there.answer = () => undefined
    const hook = webhook(t, there.origin)
    const stop = new AbortController()
    const stopped = hook.deliver([alertOf()], stop.signal)
    setTimeout(() => stop.abort(), 50)
    t.match(await stopped, { is: 'later', why: /interrupted/ })
    // The header has come, the rest trickles.
    there.answer = (_request, response) => {
      response.writeHead(500)
      const timer = setInterval(() => response.write(' '), 100)
      response.on('close', () => clearInterval(timer))
    }
    t.match(await hook.deliver([alertOf()], signal), { is: 'later', why: /no answer within 10 s$/ })
  },
)

t.test('over TLS only a receiver that proves its name gets alerts', async t => {
  const { authority, servers } = makeCertificates('IP:127.0.0.1', 'DNS:other.example.org')
  // Read when the first certificate is checked.
  const etc = t.testdir({ 'authority.pem': authority, 'webhook.secret': SECRET })
  process.env.SSL_CERT_FILE = join(etc, 'authority.pem')
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  t.teardown(() => delete process.env.NODE_TLS_REJECT_UNAUTHORIZED)
  let got = 0
  const outcome = async (pem = ''): Promise<Outcome> => {
    const server = createSecureServer({ key: pem, cert: pem }, (_request, response) => {
      got++
      response.end()
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    t.teardown(() => {
      server.closeAllConnections()
      server.close()
    })
    // Listening on a port.
    const { port } = server.address() as AddressInfo
    return webhook(t, `https://127.0.0.1:${port}/`, 'json', etc).deliver([alertOf()], signal)
  }
  t.strictSame(await outcome(servers[0]), { is: 'done' })
  t.match(await outcome(servers[1]), { is: 'later', why: /does not match/ })
  const [stranger] = makeCertificates('IP:127.0.0.1').servers
  t.match(await outcome(stranger), { is: 'later', why: /self-signed|unable to verify/ })
  t.equal(got, 1)
})

/** A forward proxy; what it was asked for is in `asked`. With `status`, it refuses. */
async function forwardProxy(t: Test, status = 0) {
  const asked: string[] = []
  const proxy = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.writeHead(status || 200).end()
  })
  proxy.on('connect', (request: IncomingMessage, socket: Socket) => {
    asked.push(`CONNECT ${request.url}`)
    if (status > 0) {
      socket.end(`HTTP/1.1 ${status} No\r\n\r\n`)
      return
    }
    const upstream = connect(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    upstream.on('error', () => socket.destroy())
    socket.on('error', () => upstream.destroy())
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  // Listening on a port.
  return { asked, address: `127.0.0.1:${(proxy.address() as AddressInfo).port}` }
}

t.test('through a proxy, if the environment names one', async t => {
  const there = await receiver(t)
  const { asked, address } = await forwardProxy(t)
  t.teardown(() => {
    for (const name of ['http_proxy', 'HTTPS_PROXY', 'no_proxy']) delete process.env[name]
  })
  process.env.http_proxy = `http://${address}`
  t.strictSame(await webhook(t, `${there.origin}/a`).deliver([alertOf()], signal), { is: 'done' })
  t.strictSame(asked, [`POST ${there.origin}/a`])
  process.env.no_proxy = '127.0.0.1,localhost'
  t.strictSame(await webhook(t, `${there.origin}/b`).deliver([alertOf()], signal), { is: 'done' })
  t.equal(there.last.url, '/b', 'not for this host')
  delete process.env.no_proxy

  // Of an authority that nobody trusts: the proxy does not vouch for it.
  const { servers } = makeCertificates('IP:127.0.0.1')
  process.env.HTTPS_PROXY = `http://${address}`
  const outcome = async (pem = ''): Promise<Outcome> => {
    const server = createSecureServer({ key: pem, cert: pem }, (_request, response) => {
      response.end()
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    t.teardown(() => {
      server.closeAllConnections()
      server.close()
    })
    // Listening on a port.
    const { port } = server.address() as AddressInfo
    return webhook(t, `https://127.0.0.1:${port}/`).deliver([alertOf()], signal)
  }
  t.match(await outcome(servers[0]), { is: 'later', why: /self-signed|unable to verify/ })
  t.match(asked.at(-1), /^CONNECT 127\.0\.0\.1:\d+$/)

  const refusing = await forwardProxy(t, 407)
  process.env.HTTPS_PROXY = `http://user:geheim@${refusing.address}`
  const refused = await outcome(servers[0])
  t.match(refused, { is: 'later', why: /407/ })
  t.notMatch(JSON.stringify(refused), 'geheim')
})
