/**
 * What becomes of a request: is the name ours, which route, whose session, may they, is it from our page; then its
 * handler. Every answer has the security headers, and nothing of a request is logged but where it came from.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { WebSettings } from '../run/web-messages.ts'
import type { Clock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import type { Assets } from './assets.ts'
import { readJson } from './body.ts'
import { type CookiePlace, cookiesIn, setCookie } from './cookie.ts'
import type { Daemon } from './daemon.ts'
import { EVENT_HEADERS, sendEvents } from './event-sending.ts'
import { isPath } from './listening.ts'
import { metricsReply } from './metrics-route.ts'
import { bearerIn, checkHost, checkOrigin, clientOf, isEncrypted } from './origin.ts'
import { type EventReply, json, WebError, type WholeReply } from './reply.ts'
import type { Context, Exchange, Route, Router } from './router.ts'
import { securityHeaders } from './security-headers.ts'
import type { Listener } from './server.ts'
import { Streams } from './streams.ts'
import { checkRole, type Doors, invalidToken, onEndOf, type Who, whoAsks } from './who.ts'

export interface SiteOptions extends Doors {
  readonly settings: WebSettings
  readonly router: Router
  readonly daemon: Daemon
  readonly assets: Assets
  readonly clock: Pick<Clock, 'after' | 'now'>
  /** For a mistake of ours. */
  readonly logFailure: (line: string) => void
}

/** A request whose name is ours. */
interface Incoming {
  readonly request: IncomingMessage
  readonly method: string
  /** Below the prefix. */
  readonly path: string
  readonly query: URLSearchParams
  readonly exchange: Exchange
}

type Answer =
  | WholeReply
  | { readonly kind: 'stream'; readonly reply: EventReply; readonly who: Who }

export class Site {
  readonly #options: SiteOptions
  readonly #place: CookiePlace
  readonly #streams = new Streams()

  constructor(options: SiteOptions) {
    this.#options = options
    const { path, host, port } = options.settings
    this.#place = { prefix: path, port: isPath(host) ? '' : String(port) }
  }

  /** Never throws. */
  readonly handle: Listener['handle'] = (request, response, answering) => {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    // Should it arrive after the answer, or break off.
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    this.#answer(request, gone.signal)
      .catch(error => this.#failure(error))
      .then(answer => {
        answering(answer.kind === 'whole')
        this.#send(request, response, answer)
      })
      .catch(() => response.destroy())
  }

  async #answer(request: IncomingMessage, signal: AbortSignal): Promise<Answer> {
    const incoming = this.#read(request)
    const { method, path, exchange } = incoming
    if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') {
      throw new WebError(405, 'only GET, HEAD and POST are known here', {
        allow: 'GET, HEAD, POST',
      })
    }
    if (path === '/metrics' && method !== 'POST') {
      const { settings, daemon } = this.#options
      return metricsReply({ request, settings, daemon, doors: this.#options, ...exchange })
    }
    const routed = this.#options.router.find(method, path)
    if (routed === 'no page') return this.#file(incoming)
    if ('allowed' in routed) {
      throw new WebError(405, `${path} is not for ${method}`, { allow: routed.allowed.join(', ') })
    }
    const { route, params } = routed
    const who = this.#whoAsks(incoming)
    checkRole(route.role, who)
    const body = await this.#bodyOf(request, route, who)
    const session = who.by === 'nobody' ? undefined : who.session
    const context: Context = {
      method: route.method,
      path,
      params,
      query: incoming.query,
      body,
      session,
      by: session === undefined ? 'console' : `console (${session.name})`,
      language: languageOf(request, incoming.query),
      signal,
    }
    const reply = await route.handle(context, exchange)
    return reply.kind === 'events' ? { kind: 'stream', reply, who } : reply
  }

  /** Throws unless the request is for us. */
  #read(request: IncomingMessage): Incoming {
    const { headers, socket, method = '' } = request
    const hosts = request.rawHeaders.filter((name, at) => at % 2 === 0 && /^host$/i.test(name))
    if (hosts.length > 1) throw new WebError(400, 'the request has two names')
    this.#checkName(request)
    const target = request.url ?? ''
    if (!target.startsWith('/')) throw new WebError(400, 'the request has no path')
    const [whole = '', ...query] = target.split('?')
    const isSecure = isEncrypted(headers)
    const place = this.#place
    return {
      request,
      method,
      path: this.#withoutPrefix(whole),
      query: new URLSearchParams(query.join('?')),
      exchange: {
        client: clientOf(headers, socket.remoteAddress),
        cookies: cookiesIn(headers.cookie ?? '', place, isSecure),
        cookie: value => setCookie(value, place, isSecure),
      },
    }
  }

  /**
   * No page of another name has a token, so with one any name of this host will do, as Prometheus uses it. A
   * wrong one is not counted as a failed login under such a name: any page may send that.
   */
  #checkName({ headers, socket }: IncomingMessage): void {
    const { settings, tokens } = this.#options
    const secret = bearerIn(headers)
    if (secret !== undefined && tokens.find(secret)) return
    try {
      checkHost(headers, socket.localAddress, settings)
    } catch (error) {
      throw secret === undefined ? error : invalidToken()
    }
  }

  /** A proxy hands it on with the prefix, or without. */
  #withoutPrefix(path: string): string {
    const { prefix } = this.#place
    if (prefix !== '' && path === prefix) {
      // The page's addresses are relative to it.
      throw new WebError(308, 'the page is below this', { location: `${prefix}/` })
    }
    return prefix !== '' && path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path
  }

  #whoAsks({ request, exchange }: Incoming): Who {
    return whoAsks(request.headers, exchange.cookies, exchange.client, this.#options)
  }

  async #bodyOf(request: IncomingMessage, route: Route, who: Who): Promise<unknown> {
    if (route.method !== 'POST') return undefined
    if (who.by !== 'token') checkOrigin(request.headers, this.#options.settings)
    return await readJson(request)
  }

  #file({ request, method, path }: Incoming): WholeReply {
    const { 'accept-encoding': accepted, 'if-none-match': known } = request.headers
    const encodings = [accepted ?? ''].flat().join(',')
    const file = method === 'POST' ? undefined : this.#options.assets.find(path, encodings, known)
    if (!file) throw new WebError(404, 'there is no such page')
    return { kind: 'whole', ...file }
  }

  #failure(error: unknown): WholeReply {
    if (error instanceof WebError) {
      const reply = json({ error: error.message }, error.status)
      return { ...reply, headers: { ...reply.headers, ...error.headers } }
    }
    this.#options.logFailure(`the web console failed: ${describeError(error)}`)
    return json({ error: describeError(error) }, 500)
  }

  #send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
    if (response.destroyed) return
    if (answer.kind === 'stream') {
      this.#stream(request, response, answer.reply, answer.who)
      return
    }
    const { status, headers, body } = answer
    // What has not been read of the request is not read any more.
    const rest = request.complete ? {} : { connection: 'close' }
    const length = { 'content-length': String(Buffer.byteLength(body)) }
    const size = status === 304 ? {} : length
    response.writeHead(status, { ...securityHeaders, ...size, ...headers, ...rest })
    response.end(request.method === 'HEAD' ? undefined : body)
  }

  #stream(
    request: IncomingMessage,
    response: ServerResponse,
    { start }: EventReply,
    who: Who,
  ): void {
    if (request.method === 'HEAD') {
      response.writeHead(200, { ...securityHeaders, ...EVENT_HEADERS }).end()
      return
    }
    const ended = this.#streams.begin(who)
    if (!ended) {
      const busy = new WebError(503, 'too many consoles are open', { 'retry-after': '30' })
      this.#send(request, response, this.#failure(busy))
      return
    }
    response.writeHead(200, { ...securityHeaders, ...EVENT_HEADERS })
    const { sessions, clock } = this.#options
    const forget = onEndOf(who, this.#options, () => response.end())
    response.once('close', () => {
      ended()
      forget()
    })
    // A page that only looks on is not used, but must not outlast its session.
    const mayGoOn = (): boolean => who.by !== 'cookie' || sessions.isGoingOn(who.session)
    sendEvents({ response, clock, start, mayGoOn })
  }
}

function languageOf({ headers }: IncomingMessage, query: URLSearchParams): 'en' | 'de' {
  const asked = query.get('lang') ?? headers['accept-language'] ?? ''
  return /^de\b/i.test(asked) ? 'de' : 'en'
}
