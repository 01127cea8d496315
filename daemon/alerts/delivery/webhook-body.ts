/** The request of a webhook, as each kind of receiver expects it. What users have given is never markup. */

import type { WebhookFormat } from '../delivery.ts'
import type { AlertJson } from './alert-json.ts'

export interface WebhookRequest {
  readonly method: 'POST' | 'PUT'
  readonly url: URL
  readonly body: string
}

export function webhookRequest(format: WebhookFormat, url: URL, alert: AlertJson): WebhookRequest {
  return FORMATS[format](url, alert)
}

const FORMATS: Readonly<Record<WebhookFormat, (url: URL, alert: AlertJson) => WebhookRequest>> = {
  json: (url, alert) => post(url, alert),
  slack: (url, alert) => post(url, { text: textOf(alert, slackText) }),
  mattermost: (url, alert) => post(url, { text: textOf(alert, markdownText) }),
  matrix,
  ntfy,
}

function post(url: URL, body: unknown): WebhookRequest {
  return { method: 'POST', url, body: JSON.stringify(body) }
}

/**
 * A room of a server (`https://HOST/_matrix/client/v3/rooms/!ROOM:HOST`): with the id of the alert as the
 * transaction's, so that a repetition is not shown twice. Anything else is a webhook of a bridge.
 */
function matrix(url: URL, alert: AlertJson): WebhookRequest {
  const text = textOf(alert, plain)
  if (!url.pathname.includes('/_matrix/client/')) return post(url, { text })
  const target = new URL(url)
  const room = url.pathname.replace(/\/+$/, '')
  target.pathname = `${room}/send/m.room.message/${encodeURIComponent(alert.id)}`
  // Empty mentions: a name in the text calls nobody (Matrix 1.7).
  const content = { msgtype: 'm.text', body: text, 'm.mentions': {} }
  return { method: 'PUT', url: target, body: JSON.stringify(content) }
}

/** https://HOST/TOPIC. As JSON, because headers cannot hold every letter. */
function ntfy(url: URL, alert: AlertJson): WebhookRequest {
  const path = url.pathname.replace(/\/+$/, '')
  const end = path.lastIndexOf('/')
  const target = new URL(url)
  target.pathname = path.slice(0, end + 1) || '/'
  return post(target, {
    topic: decodeURIComponent(path.slice(end + 1)),
    title: `${alert.host}: ${stateText(alert)}`,
    message: [sentence(alert.what), sentence(alert.why), alert.remedy].filter(Boolean).join('\n'),
    priority: alert.state === 'cleared' ? 2 : (PRIORITIES[alert.severity] ?? 3),
    tags: [alert.state === 'cleared' ? 'white_check_mark' : 'warning'],
  })
}

/** ntfy's: 3 is the default, 5 the highest. */
const PRIORITIES: Readonly<Record<string, number>> = { error: 5, warning: 4, note: 3 }

function textOf(alert: AlertJson, escaped: (text: string) => string): string {
  const { host, what, why, remedy } = alert
  const head = escaped(`[${host}] ${stateText(alert)}: ${sentence(what)}`)
  return [head, escaped(sentence(why)), escaped(remedy)].filter(Boolean).join('\n')
}

function stateText({ state, severity }: AlertJson): string {
  return state === 'cleared' ? 'over' : severity
}

function sentence(text: string): string {
  return text === '' ? '' : `${text}.`
}

function plain(text: string): string {
  return text
}

/** Slack: only these three begin markup or a mention. */
function slackText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** An @ that would call somebody is followed by a space without width; that of an address is not. */
function markdownText(text: string): string {
  return text
    .replaceAll(/[\\`*_{}[\]()#+!|~<>$:-]/g, '\\$&')
    .replaceAll(/(?<![\p{L}\p{N}])@/gu, '@\u200b')
}
