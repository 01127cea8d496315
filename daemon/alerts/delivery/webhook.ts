/**
 * A webhook: each alert is one request to the URL of the administrator, in order.
 *
 * Certificates are checked. Redirections are not followed, so that alerts are sent only to that URL, and no
 * receiver can make the daemon call another one. The URL itself may name any host, also loopback and the own
 * network, where receivers often are: root sets it, and the console cannot (registry/console-variables.ts).
 */

import type { IncomingMessage, RequestOptions } from 'node:http'
import { trustedAuthorities } from '../../net/trusted-authorities.ts'
import { describeError, withoutSecret } from '../../system/errors.ts'
import { printable } from '../../text/columns.ts'
import type { AlertLanguage } from '../alert.ts'
import { type Delivery, DONE, type Outcome, type WebhookFormat } from '../delivery.ts'
import { alertJson } from './alert-json.ts'
import { SECRET_FILE, SIGNATURE_HEADER, secretsIn, signature, TOKEN_FILE } from './signature.ts'
import { type WebhookRequest, webhookRequest } from './webhook-body.ts'

const LONGEST_MILLISECONDS = 10_000
/** What is read of a reply, for the message about it. */
const MOST_REPLY_BYTES = 4096
const LONGEST_REASON = 200
/** Shorter parts of a URL are words, such as `hooks`. */
const SHORTEST_SECRET = 6
/** A receiver may ask for a pause of up to an hour. */
const LONGEST_PAUSE_MILLISECONDS = 3_600_000
/** The receiver cannot take this alert, now or later; all others would have to wait behind it. */
const FOR_GOOD: ReadonlySet<number> = new Set([400, 413, 414, 415, 422])

export interface WebhookOptions {
  readonly url: string
  readonly format: WebhookFormat
  readonly language: AlertLanguage
  readonly hostName: string
  /** /etc/univention-mtpolicyd */
  readonly etc: string
  now(): number
}

export function webhookDelivery(options: WebhookOptions): Delivery {
  return {
    name: 'webhook',
    // The path of many webhooks is their password.
    to: httpUrl(options.url)?.origin ?? '',
    batches: 'one',
    wants: () => true,
    async deliver([alert], signal) {
      if (alert === undefined) return DONE
      const url = httpUrl(options.url)
      if (url === undefined) return { is: 'refused', why: 'the webhook is not an http(s):// URL' }
      const json = alertJson(alert, options.language, options.hostName)
      return send(webhookRequest(options.format, url, json), alert.id, options, signal)
    },
  }
}

function httpUrl(text: string): URL | undefined {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) ? url : undefined
}

async function send(
  { method, url, body }: WebhookRequest,
  id: string,
  { etc, now }: WebhookOptions,
  signal: AbortSignal,
): Promise<Outcome> {
  // The path of many webhooks is their password, so messages have the origin alone.
  const later = (why: string): Outcome => ({ is: 'later', why: `${url.origin}: ${why}` })
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MILLISECONDS)])
  let tokens: readonly string[] = []
  try {
    const secrets = await secretsIn(etc, SECRET_FILE)
    tokens = await secretsIn(etc, TOKEN_FILE)
    const seconds = Math.floor(now() / 1000)
    const [token] = tokens
    const headers = {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
      'User-Agent': 'univention-mtpolicyd',
      'X-Mtpolicyd-Id': id,
      ...(secrets.length > 0 ? { [SIGNATURE_HEADER]: signature(secrets, body, seconds) } : {}),
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    }
    const response = await requested(url, { method, headers, signal: limit }, body)
    return await outcomeOf(response, url, [...tokens, ...secrets])
  } catch (error) {
    if (signal.aborted) return later('interrupted')
    if (limit.aborted) return later(`no answer within ${LONGEST_MILLISECONDS / 1000} s`)
    return later(withoutSecret(describeError(error), tokens[0]))
  }
}

/** As curl(1) and others take them from the environment of the daemon's unit, in either case. */
const PROXY_VARIABLES = ['http_proxy', 'https_proxy', 'no_proxy']

function proxyVariables(): NodeJS.Dict<string> {
  const names = PROXY_VARIABLES.flatMap(name => [name, name.toUpperCase()])
  return Object.fromEntries(names.map(name => [name, process.env[name]]))
}

/** Each request has a connection of its own: one that was kept may have been closed meanwhile. */
async function requested(
  url: URL,
  options: RequestOptions,
  body: string,
): Promise<IncomingMessage> {
  const isSecure = url.protocol === 'https:'
  const { Agent, request } = isSecure ? await import('node:https') : await import('node:http')
  const secured = isSecure
    ? { ...options, secureContext: trustedAuthorities(), rejectUnauthorized: true }
    : options
  return new Promise((resolve, reject) => {
    request(url, { ...secured, agent: new Agent({ proxyEnv: proxyVariables() }) }, resolve)
      .on('error', reject)
      .end(body)
  })
}

async function outcomeOf(
  response: IncomingMessage,
  url: URL,
  secrets: readonly string[],
): Promise<Outcome> {
  const status = response.statusCode ?? 0
  if (status >= 200 && status < 300) {
    response.destroy()
    return DONE
  }
  const reason = await reasonOf(response, [...secretsOfUrl(url), ...secrets])
  const why = `${url.origin}: it answers ${status}${reason === '' ? '' : ` (${reason})`}`
  if (status >= 300 && status < 400) {
    return { is: 'later', why: `${why}; redirections are not followed, set the URL it leads to` }
  }
  if (FOR_GOOD.has(status)) return { is: 'refused', why }
  const milliseconds = pauseOf(response.headers['retry-after'])
  return milliseconds === undefined ? { is: 'later', why } : { is: 'later', why, milliseconds }
}

/** The beginning of its text, or where it redirects to. */
async function reasonOf(response: IncomingMessage, secrets: readonly string[]): Promise<string> {
  const { location } = response.headers
  if (location !== undefined) return excerptOf(URL.parse(location)?.origin ?? '')
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response) {
    chunks.push(chunk)
    length += chunk.length
    if (length >= MOST_REPLY_BYTES) break
  }
  const text = Buffer.concat(chunks).toString('utf8', 0, MOST_REPLY_BYTES)
  return excerptOf(withoutSecrets(text, secrets))
}

/** What may be its password, as it is written and as it is meant; the longest first. */
function secretsOfUrl({ pathname, search, searchParams }: URL): readonly string[] {
  const whole = [`${pathname}${search}`, pathname, search]
  const parts = [...pathname.split('/'), ...search.slice(1).split(/[&=]/), ...searchParams.values()]
  return [...whole, ...parts.filter(part => part.length >= SHORTEST_SECRET)]
    .filter(text => text.length > 1)
    .flatMap(text => [text, decoded(text)])
    .toSorted((a, b) => b.length - a.length)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** A receiver may repeat what it was sent, as many do for a path that they do not know. */
function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((shown, secret) => withoutSecret(shown, secret), text)
}

function excerptOf(text: string): string {
  return printable(text.replaceAll(/\s+/g, ' ').trim()).slice(0, LONGEST_REASON)
}

/** RFC 9110, 10.2.3: in seconds, of which Discord sends fractions; a date is not worth the trouble. */
function pauseOf(retryAfter: string | undefined): number | undefined {
  const seconds = /^\d{1,9}(?:\.\d{1,9})?$/.test(retryAfter ?? '') ? Number(retryAfter) : 0
  return seconds > 0 ? Math.min(Math.ceil(seconds * 1000), LONGEST_PAUSE_MILLISECONDS) : undefined
}
