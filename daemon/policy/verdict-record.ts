/**
 * What became of one request, complete when its answer has left: what was decided, by which plugin,
 * what Postfix was actually told, and why. Handed to every sink once.
 */

import type { Clock } from '../system/clock.ts'
import type { FactNames, Facts } from './facts.ts'
import { type Hearing, roundToMicroseconds } from './hearing.ts'
import type { Fields } from './ports/log.ts'
import type { PolicyRequest } from './request.ts'
import { type Decision, withCode } from './verdict.ts'

/** Why Postfix was told what it was told. */
export type Why =
  /** A plugin decided, or none objected. */
  | 'decided'
  /** `mode = observe`: a plugin objected, and the mail passes all the same. */
  | 'observed'
  /** The decision failed, or was not complete when its time was up: `on_failure`. */
  | 'failed'
  | 'late'
  /** The counts could not be made durable: `on_failure`. */
  | 'uncounted'
  /** No <VirtualHost> for the port. */
  | 'unserved'
  /** The client closed the connection before the answer was ready. */
  | 'gone'

/** Read at once or copied: the texts share memory with what came in with them. */
export class VerdictRecord {
  /** Undefined: no plugin decided. */
  readonly decided: Decision | undefined
  /** The action Postfix was told; undefined if there was no answer. */
  readonly sent: string | undefined
  readonly why: Why
  readonly factNames: FactNames
  /** By which a refusal is found again (`policy/decision-code.ts`); empty: it has none. */
  readonly code: string
  readonly #hearing: Hearing
  readonly #clock: Pick<Clock, 'now'>

  constructor(
    clock: Pick<Clock, 'now'>,
    hearing: Hearing,
    decided: Decision | undefined,
    sent: string | undefined,
    why: Why,
    factNames: FactNames,
    code = '',
  ) {
    this.#clock = clock
    this.decided = decided
    this.sent = sent
    this.why = why
    this.factNames = factNames
    this.code = code
    this.#hearing = hearing
  }

  /** What Postfix was told, without the code. */
  get action(): string | undefined {
    const { sent, code } = this
    return code === '' ? sent : sent?.slice(0, -withCode('', code).length)
  }

  /** Now, while the sinks are told: when the answer left, milliseconds since 1970. */
  get at(): number {
    return this.#clock.now()
  }

  /** When the request came: milliseconds of `Clock.elapsed`. */
  get askedAt(): number {
    return this.#hearing.startedAt
  }

  get request(): PolicyRequest {
    return this.#hearing.request
  }

  /** Name of the <VirtualHost>. */
  get host(): string {
    return this.#hearing.host
  }

  /** What plugins objected to in `mode = observe`, in the order of the chain. */
  get objections(): readonly Decision[] {
    return this.#hearing.objections
  }

  /** The plugin that decided, or that would have; empty if none did. */
  get by(): string {
    return this.decided?.by ?? this.objections[0]?.by ?? ''
  }

  get facts(): Facts {
    return this.#hearing.facts
  }

  /** From the request to the decision. */
  get milliseconds(): number {
    return this.#hearing.milliseconds
  }

  /** Postfix's name for the message. */
  get instance(): string {
    return this.request.text('instance')
  }

  get queueId(): string {
    return this.request.text('queue_id')
  }

  /** `protocol_state`: RCPT, DATA, END-OF-MESSAGE, ... */
  get stage(): string {
    return this.request.text('protocol_state')
  }

  /** Whose mail it is, folded and without the default domain; empty: it came without a login. */
  get account(): string {
    return this.#hearing.account
  }

  /** As the client logged in. */
  get user(): string {
    return this.request.text('sasl_username')
  }

  get client(): string {
    return this.request.text('client_address')
  }

  /** Recipients this request is about: one at RCPT. */
  get recipients(): number {
    return this.request.stage === 'RCPT' ? 1 : this.request.count('recipient_count')
  }

  /** Bytes; 0 if Postfix does not know it yet. */
  get size(): number {
    return this.request.count('size')
  }
}

/** Called once for every request, after its answer has left. */
export type VerdictSink = (record: VerdictRecord) => void

/** The fields of a log line as values, in its order. */
export function verdictFields(record: VerdictRecord): Fields {
  const { facts, factNames, sent, action, code, why, decided, objections } = record
  const isPlain = why === 'decided' || why === 'observed'
  const fields: Record<string, Fields[string]> = {
    instance: record.instance,
    user: record.user,
    client: record.client,
  }
  for (const { name } of factNames.client) fields[name] = facts[name]
  fields.rcpt = record.recipients
  fields.size = record.size
  fields.verdict = sent
  if (code !== '') fields.code = code
  if (!isPlain) fields.why = why
  if (!isPlain && decided?.action !== action) fields.decided = decided?.action
  fields.observed = objections[0]?.action
  fields.by = record.by
  for (const { name } of factNames.decision) fields[name] = facts[name]
  fields.ms = roundToMicroseconds(record.milliseconds)
  return fields
}
