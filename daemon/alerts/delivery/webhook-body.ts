/** The request of a webhook, as each kind of receiver expects it. What users have given is never markup. */

import type { WebhookFormat } from '../delivery.ts'
import type { AlertJson } from './alert-json.ts'
import {
  fitted,
  MOST_CHAT_CHARACTERS,
  MOST_NTFY_BYTES,
  markdownText,
  slackText,
} from './chat-text.ts'

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
  slack: (url, alert) => post(url, { text: textOf(alert, slackText), ...NO_MARKUP }),
  mattermost: (url, alert) => post(url, { text: textOf(alert, markdownText) }),
  matrix,
  ntfy,
}

/** Slack's: *b* and _i_ stay as they are, and an address in a text is not fetched for a preview. */
const NO_MARKUP = { mrkdwn: false, unfurl_links: false, unfurl_media: false }

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
    message: fitted(linesOf(alert.what, alert), MOST_NTFY_BYTES, plain, Buffer.byteLength),
    priority: alert.state === 'cleared' ? 2 : (PRIORITIES[alert.severity] ?? 3),
    tags: [alert.state === 'cleared' ? 'white_check_mark' : 'warning'],
  })
}

/** ntfy's: 3 is the default, 5 the highest. */
const PRIORITIES: Readonly<Record<string, number>> = { error: 5, warning: 4, note: 3 }

function textOf(alert: AlertJson, escaped: (text: string) => string): string {
  const head = `[${alert.host}] ${stateText(alert)}: ${alert.what}`
  return fitted(linesOf(head, alert), MOST_CHAT_CHARACTERS, escaped)
}

function linesOf(head: string, { why, remedy }: AlertJson): string {
  return [sentence(head), sentence(why), remedy].filter(Boolean).join('\n')
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
