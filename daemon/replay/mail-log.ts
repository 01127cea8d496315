/**
 * Postfix's log as requests: for each message of a client that has logged in, the request that Postfix
 * sends at its end.
 *
 * smtpd tells of a message who sends it (`client=`), the queue manager, once it is accepted, how large it is
 * and how many recipients it has (`nrcpt=`); that is its time. What was refused is not there. `nrcpt`
 * is counted after aliases and what is added (always_bcc), so it may be more than Postfix would have told.
 * Mail through a filter before the queue is joined by ProxiedMail.
 *
 * Most lines matter to nobody, and are told apart by their bytes.
 */

import type { ParseLine } from '../maillog/parser.ts'
import { isQueueId } from '../maillog/queue-id.ts'
import type { ClientRecord, MailRecord, QueuedRecord } from '../maillog/record.ts'
import type { LineBlock } from './byte-lines.ts'
import { countLines } from './byte-lines.ts'
import { ProxiedMail } from './proxied-mail.ts'
import { type Recorded, RecordedAttributes } from './record.ts'

/** Messages that are still coming in; of those beyond, the oldest are dropped: they were never accepted. */
const MOST_PENDING = 100_000
/** Queue ids of accepted messages; the queue manager names a deferred message again at each attempt. */
const MOST_SEEN = 100_000

const LINE_FEED = 0x0a
const SPACE = 0x20
const QUOTE = 0x22
const LOGIN = Buffer.from(' sasl_username=')
const CLIENT = Buffer.from(': client=')
const PROXY_ACCEPT = Buffer.from(' proxy-accept: ')
const QUEUED = Buffer.from(', nrcpt=')
const FROM = Buffer.from(': from=<')
/** In the JSON of Docker. */
const FROM_IN_JSON = Buffer.from(': from=\\u003c')

const UNREADABLE = 'expected time, host and program of a line of Postfix'

/** Messages of logs that are not among its requests. */
export interface LeftOut {
  /** Accepted ones whose sender had not logged in, or had in a log before these. */
  readonly withoutLogin: number
  /** Messages of users that were refused, held, or not complete when the log ends. */
  readonly unaccepted: number
  /** Messages of users, accepted by a filter before the queue that does not tell their queue ids. */
  readonly unnamed: number
}

export class MailLogReader {
  #parse: ParseLine = () => undefined
  #damaged: (line: number, why: string) => void = () => undefined
  /** By queue id. */
  readonly #pending = new Map<string, ClientRecord>()
  readonly #proxied = new ProxiedMail()
  /** Queue ids of messages that were accepted. */
  #seen = new Set<string>()
  /** The last ones before: to take the oldest out of a set again and again is slow. */
  #seenBefore: ReadonlySet<string> = new Set()
  #withoutLogin = 0
  #dropped = 0

  /** What follows is of another file: messages that began in the one before may end in it. */
  begin(parse: ParseLine, damaged: (line: number, why: string) => void): void {
    this.#parse = parse
    this.#damaged = damaged
  }

  get leftOut(): LeftOut {
    return {
      withoutLogin: this.#withoutLogin,
      unaccepted: this.#dropped + this.#pending.size + this.#proxied.unaccepted,
      unnamed: this.#proxied.unnamed,
    }
  }

  /** The messages that were accepted in these lines. */
  read({ bytes, firstLine }: LineBlock): Recorded[] {
    const records: Recorded[] = []
    let login = bytes.indexOf(LOGIN)
    let queued = bytes.indexOf(QUEUED)
    while (login >= 0 || queued >= 0) {
      const isLogin = login >= 0 && (queued < 0 || login < queued)
      const mark = isLogin ? login : queued
      const from = bytes.lastIndexOf(LINE_FEED, mark) + 1
      const end = bytes.indexOf(LINE_FEED, mark)
      const line = bytes.subarray(from, end < 0 ? bytes.length : end)
      const isRead = isLogin ? this.#noteLogin(line, records) : this.#takeQueued(line, records)
      if (!isRead) this.#damaged(firstLine + countLines(bytes.subarray(0, from)) - 1, UNREADABLE)
      if (end < 0) break
      if (login >= 0 && login < end) login = bytes.indexOf(LOGIN, end)
      if (queued >= 0 && queued < end) queued = bytes.indexOf(QUEUED, end)
    }
    return records
  }

  /** False if the line is damaged. */
  #noteLogin(line: Buffer, records: Recorded[]): boolean {
    // An attempt to log in that failed has the mark as well, and so have refusals.
    if (!line.includes(CLIENT)) {
      return !line.includes(PROXY_ACCEPT) || this.#takeProxied(line, records)
    }
    const record = this.#parse(line.toString())
    if (record?.kind !== 'client') return record !== undefined
    if (record.queueId === '') this.#proxied.begin(record)
    else this.#notePending(record)
    return true
  }

  #notePending(client: ClientRecord): void {
    this.#pending.delete(client.queueId)
    this.#pending.set(client.queueId, client)
    if (this.#pending.size <= MOST_PENDING) return
    const [oldest] = this.#pending.keys()
    if (oldest === undefined) return
    this.#pending.delete(oldest)
    this.#dropped++
  }

  /** False if the line is damaged. */
  #takeProxied(line: Buffer, records: Recorded[]): boolean {
    const record = this.#parse(line.toString())
    if (!record) return false
    const accepted = this.#proxied.accept(record)
    if (!accepted) return true
    const { client, queued } = accepted
    const before = queued === undefined ? undefined : this.#parse(queued)
    if (before?.kind === 'queued' && before.host === client.host) {
      this.#withoutLogin--
      records.push(requestOf(client, before))
    } else this.#notePending(client)
    return true
  }

  /** False if the line is damaged. */
  #takeQueued(line: Buffer, records: Recorded[]): boolean {
    // The sender may look like anything, but what is in front of it is Postfix's.
    const plainEnd = line.indexOf(FROM)
    const idEnd = plainEnd < 0 ? line.indexOf(FROM_IN_JSON) : plainEnd
    if (idEnd < 0) return true
    let idFrom = idEnd
    while (idFrom > 0 && line[idFrom - 1] !== SPACE && line[idFrom - 1] !== QUOTE) idFrom--
    const id = line.toString('latin1', idFrom, idEnd)
    const client = this.#pending.get(id)
    if (!client) {
      this.#noteOther(id, line)
      return true
    }
    const record: MailRecord | undefined = this.#parse(line.toString())
    if (record?.kind !== 'queued' || record.host !== client.host) return record !== undefined
    this.#pending.delete(id)
    this.#noteSeen(id)
    this.#proxied.noteRequest(id)
    records.push(requestOf(client, record))
    return true
  }

  /** Nobody has logged in for it, or it was accepted before and is tried again. */
  #noteOther(id: string, line: Buffer): void {
    if (this.#noteSeen(id) || !isQueueId(id)) return
    this.#withoutLogin++
    this.#proxied.noteQueued(id, () => line.toString())
  }

  /** Was it seen before? */
  #noteSeen(id: string): boolean {
    const isSeen = this.#seen.has(id) || this.#seenBefore.has(id)
    this.#seen.add(id)
    if (this.#seen.size >= MOST_SEEN) {
      this.#seenBefore = this.#seen
      this.#seen = new Set()
    }
    return isSeen
  }
}

/** As Postfix sends it at END-OF-MESSAGE. What the log does not tell is empty. */
function requestOf(client: ClientRecord, queued: QueuedRecord): Recorded {
  const { queueId, clientName, clientAddress, saslMethod, saslUsername, pid } = client
  const { at, from, bytes, recipients } = queued
  return {
    t: Math.round(at),
    conn: String(pid ?? ''),
    bytes: client.text.length + queued.text.length,
    attributes: new RecordedAttributes({
      request: 'smtpd_access_policy',
      protocol_state: 'END-OF-MESSAGE',
      protocol_name: 'ESMTP',
      helo_name: '',
      queue_id: queueId,
      sender: from,
      recipient: '',
      recipient_count: String(recipients),
      client_address: clientAddress,
      client_name: clientName,
      reverse_client_name: clientName,
      // Short queue ids are used again.
      instance: `${queueId}.${Math.floor(at / 1000)}`,
      sasl_method: saslMethod,
      sasl_username: saslUsername,
      sasl_sender: '',
      size: String(bytes),
    }),
  }
}
