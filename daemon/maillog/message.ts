/**
 * The message of a line, as smtpd(8), cleanup(8), qmgr(8) and the delivery agents of Postfix 3.4 to 3.11
 * write it. A message that is not known is `other`, never an error.
 *
 * Positions decide, from the left: queue id and action come before anything that a client may write, so
 * nobody can make their own text look like another message's refusal.
 */

import { isQueueId } from './queue-id.ts'
import type { ActionRecord, Envelope, MailRecord } from './record.ts'

const NOQUEUE = 'NOQUEUE'
const ACTION = /^[a-z_]+(?:-[a-z]+)*$/
/** An SMTP command or `END-OF-MESSAGE`, and who it is from. */
const STAGE = /^([A-Z][A-Z-]*) from (\S{0,300})\[([^\]]{0,100})\](?::\d+)?: /
/** In newer versions a port may follow the address, and a local message has no client. */
const CONTENT_CLIENT = / from (?:(\S{0,300})\[([^\]\s]{0,100})\](?::\d+)?|\S{1,300})$/
/** Where a message's attributes begin. */
const SENDER = '; from=<'
const HELO = ' helo=<'
const CODE = /^([245]\d\d)(?:[ -]|$)/
const ENHANCED = /^([245]\.\d{1,3}\.\d{1,3})(?: |$)/
/** What cleanup warns of when it does not take a message, and smtpd when it is too big. */
const NOT_ACCEPTED =
  /^(?:(?:unreasonable )?\w+ (?:map|result) .*-- message not accepted|message rejected: |queue file size limit exceeded$|write queue file: )/s
const WARNING = 'warning: '
const CLIENT = /^client=(\S{0,300}?)\[([^\]]{0,100})\](?::\d+)?(?:, |$)/
/** Names may have commas, such as those of a directory. */
const CLIENT_LOGIN = /, sasl_username=(.*?)(?:, (?:sasl_sender|orig_queue_id|orig_client)=|$)/s

export function readMessage(envelope: Envelope): MailRecord {
  const { text } = envelope
  if (text.startsWith(WARNING)) return readWarning(envelope, text.slice(WARNING.length))
  const colon = text.indexOf(': ')
  const head = colon < 0 ? '' : text.slice(0, colon)
  const isNumbered = isQueueId(head)
  const queueId = isNumbered ? head : ''
  const rest = isNumbered || head === NOQUEUE ? text.slice(colon + 2) : text
  return read(envelope, queueId, rest) ?? { ...envelope, kind: 'other', queueId }
}

function read(envelope: Envelope, queueId: string, rest: string): MailRecord | undefined {
  if (rest.startsWith('client=')) return readClient(envelope, queueId, rest)
  if (rest.startsWith('to=<')) return readDelivery(envelope, queueId, rest)
  if (rest.startsWith('from=<')) return readQueued(envelope, queueId, rest)
  if (rest === 'removed') return { ...envelope, kind: 'removed', queueId }
  if (rest === 'canceled') return { ...envelope, kind: 'canceled', queueId }
  const colon = rest.indexOf(': ')
  const action = colon < 0 ? '' : rest.slice(0, colon)
  const kind = kindOf(action)
  return kind && readAction(envelope, queueId, kind, action, rest.slice(colon + 2))
}

/** `QID: sender_bcc_maps map lookup problem -- message not accepted, try again later` */
function readWarning(envelope: Envelope, warning: string): MailRecord {
  const colon = warning.indexOf(': ')
  const queueId = warning.slice(0, Math.max(0, colon))
  const reason = warning.slice(colon + 2)
  return isQueueId(queueId) && NOT_ACCEPTED.test(reason)
    ? { ...envelope, kind: 'not-accepted', queueId, reason }
    : { ...envelope, kind: 'other', queueId: '' }
}

function kindOf(action: string): ActionRecord['kind'] | undefined {
  switch (action) {
    case 'milter-reject':
      return action
    case 'reject':
    case 'proxy-reject':
      return 'reject'
    case 'discard':
    case 'milter-discard':
      return 'discard'
    case 'hold':
    case 'milter-hold':
      return 'hold'
    default:
      return ACTION.test(action) ? kindOfMilterCheck(action) : undefined
  }
}

/** milter_header_checks: `milter-header-reject`. */
function kindOfMilterCheck(action: string): ActionRecord['kind'] | undefined {
  const found = /^milter-(?:header|body|mime)\w*-(reject|discard|hold)$/.exec(action)?.[1]
  return found === 'reject' || found === 'discard' || found === 'hold' ? found : undefined
}

function readClient(envelope: Envelope, queueId: string, rest: string): MailRecord | undefined {
  const found = CLIENT.exec(rest)
  if (found === null) return undefined
  return {
    ...envelope,
    kind: 'client',
    queueId,
    clientName: found[1] ?? '',
    clientAddress: found[2] ?? '',
    saslMethod: listed(rest, 'sasl_method'),
    saslUsername: CLIENT_LOGIN.exec(rest)?.[1] ?? '',
  }
}

function readQueued(envelope: Envelope, queueId: string, rest: string): MailRecord | undefined {
  const found = /^from=<(.*)>, size=(\d{1,15}), nrcpt=(\d{1,9})/.exec(rest)
  if (found === null) return undefined
  const [, from = '', bytes, recipients] = found
  const numbers = { bytes: Number(bytes), recipients: Number(recipients) }
  return { ...envelope, kind: 'queued', queueId, from, ...numbers }
}

function readDelivery(envelope: Envelope, queueId: string, rest: string): MailRecord | undefined {
  const relayAt = rest.indexOf('>, relay=')
  const found = /^to=<(.*?)(?:>, orig_to=<(.*))?$/s.exec(rest.slice(0, Math.max(0, relayAt)))
  const after = rest.slice(relayAt)
  const statusAt = after.indexOf(', status=')
  if (found === null || statusAt < 0) return undefined
  const [, status = '', reason = ''] =
    /^, status=([\w-]+)(?: \((.*)\))?/s.exec(after.slice(statusAt)) ?? []
  const fields = after.slice(1, statusAt)
  return {
    ...envelope,
    kind: 'delivery',
    queueId,
    to: found[1] ?? '',
    origTo: found[2] ?? '',
    relay: listed(fields, 'relay'),
    dsn: listed(fields, 'dsn'),
    status,
    reason,
  }
}

/** `, name=value` in a list; the value ends at the next comma. */
function listed(text: string, name: string): string {
  const at = text.indexOf(`, ${name}=`)
  if (at < 0) return ''
  const from = at + name.length + 3
  const end = text.indexOf(', ', from)
  return text.slice(from, end < 0 ? undefined : end)
}

function readAction(
  envelope: Envelope,
  queueId: string,
  kind: ActionRecord['kind'],
  action: string,
  detail: string,
): MailRecord {
  const found = STAGE.exec(detail)
  const common = { ...envelope, kind, queueId, action }
  if (found === null) return { ...common, ...readUnstaged(detail) }
  const [, stage = '', clientName = '', clientAddress = ''] = found
  const answer = readAnswer(detail.slice(found[0].length))
  return { ...common, stage, clientName, clientAddress, ...answer }
}

type Detail = Omit<ActionRecord, keyof Envelope | 'kind' | 'queueId' | 'action'>

/** `header Subject: … from host[address]; from=<…>: text`, or `END-OF-MESSAGE: reply; from=<…>` of a proxy filter. */
function readUnstaged(detail: string): Detail {
  const proxied = /^([A-Z][A-Z-]*): (.*)$/s.exec(detail)
  if (proxied !== null) {
    const [, stage = '', answer = ''] = proxied
    return { stage, clientName: '', clientAddress: '', ...readAnswer(answer) }
  }
  const { reason, attributes } = splitContent(detail)
  const client = CONTENT_CLIENT.exec(reason)
  const space = reason.indexOf(' ')
  const found = reason.slice(space + 1, client?.index)
  const { rest, ...read } = readAttributes(attributes)
  const reply = readReply(rest)
  return {
    stage: space < 0 ? '' : reason.slice(0, space),
    clientName: client?.[1] ?? '',
    clientAddress: client?.[2] ?? '',
    ...reply,
    reason: reply.reason === '' ? found : `${reply.reason} (${found})`,
    ...read,
  }
}

/** `550 5.7.1 no; from=<a> to=<b> proto=ESMTP helo=<c>`, to the end of a line. */
function readAnswer(text: string): Omit<Detail, 'stage' | 'clientName' | 'clientAddress'> {
  const { reason, attributes } = splitAttributes(text)
  const { rest: _, ...read } = readAttributes(attributes)
  return { ...readReply(reason), ...read, saslUsername: readLogin(text) }
}

/**
 * Whose login ends the line: behind the last HELO name, in which Postfix replaces what is not a name. Addresses
 * in quotation marks, and the words of a filter, may look like any of it, but a protocol always follows them.
 */
const LOGIN =
  /^[^<>\s]*>(?: sasl_method=\S+)? sasl_username=(?:<([^<>]*)>|([^<>\s]*))(?: sasl_sender=\S*)?$/

export function readLogin(text: string): string {
  const heloAt = text.lastIndexOf(HELO)
  const found = heloAt < 0 ? null : LOGIN.exec(text.slice(heloAt + HELO.length))
  return found?.[1] ?? found?.[2] ?? ''
}

/** Where the sender begins, the words of an answer end; a filter's words may look like a sender themselves. */
function splitAttributes(text: string): Split {
  let at = text.indexOf(SENDER)
  for (let next = text.indexOf(SENDER, at + 1); at >= 0 && next >= 0; ) {
    if (/> (?:to=<|proto=)/.test(text.slice(at, next))) break
    at = next
    next = text.indexOf(SENDER, at + 1)
  }
  // Before MAIL there is no sender.
  return splitAt(text, at < 0 ? text.search(/;(?: to=<| proto=|$)/) : at)
}

/** What a content rule found was sent by the client, so the last sender behind a client is Postfix's. */
function splitContent(text: string): Split {
  let at = text.lastIndexOf(SENDER)
  while (at > 0 && !CONTENT_CLIENT.test(text.slice(0, at))) at = text.lastIndexOf(SENDER, at - 1)
  return splitAt(text, at)
}

interface Split {
  readonly reason: string
  readonly attributes: string
}

function splitAt(text: string, at: number): Split {
  if (at < 0) return { reason: text, attributes: '' }
  return { reason: text.slice(0, at), attributes: text.slice(at + 1) }
}

function readReply(text: string): Pick<Detail, 'code' | 'enhancedCode' | 'reason'> {
  const code = CODE.exec(text)?.[1] ?? ''
  const behindCode = code === '' ? text : text.slice(4)
  const enhancedCode = ENHANCED.exec(behindCode)?.[1] ?? ''
  const reason = enhancedCode === '' ? behindCode : behindCode.slice(enhancedCode.length + 1)
  return { code, enhancedCode, reason }
}

interface Attributes extends Pick<Detail, 'from' | 'to' | 'protocol' | 'helo' | 'saslUsername'> {
  /** What follows them: the words of a content rule. */
  readonly rest: string
}

/** ` from=<a> to=<b> proto=ESMTP helo=<c> sasl_method=PLAIN sasl_username=d: text` */
const ATTRIBUTES =
  /^(?: from=<(.*?)>(?= to=<| proto=|:|$))?(?: to=<(.*?)>(?= proto=|:|$))?(?: proto=(\S*?)(?=[ :]|$))?(?: helo=<(.*?)>(?= sasl_|:|$))?(?: sasl_method=(\S*))?(?: sasl_username=<?([^\s:>]*)>?)?(?: sasl_sender=\S*)?(?:: (.*))?/s

function readAttributes(text: string): Attributes {
  const [, from = '', to = '', protocol = '', helo = '', , saslUsername = '', rest = ''] =
    ATTRIBUTES.exec(text) ?? []
  return { from, to, protocol, helo, saslUsername, rest }
}
