/**
 * Other programs that plugins talk to. Each method rejects with LookupError if the program does
 * not answer as it should; `signal` ends what the request's deadline has overtaken.
 */

import type { Attributes } from '../request.ts'

/** A policy service as ours (SMTPD_POLICY_README). */
export interface PolicyService {
  /** The action it answers. */
  ask(attributes: Attributes, signal: AbortSignal): Promise<string>
}

/** fail2ban-server. */
export interface Jailer {
  ban(jail: string, address: string, signal: AbortSignal): Promise<void>
}

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

export type HttpPost = (
  url: string,
  body: string,
  contentType: string,
  signal: AbortSignal,
) => Promise<HttpAnswer>

export interface RecipientQuestion {
  /** Host names or addresses, tried in order. */
  readonly hosts: readonly string[]
  readonly port: number
  readonly sender: string
  readonly recipient: string
  /** Announced with MAIL FROM where the server knows SIZE; undefined: not announced. */
  readonly size: number | undefined
}

export interface RecipientAnswer {
  /** EHLO keywords, upper case. */
  readonly extensions: readonly string[]
  /** The reply that decided: to MAIL FROM if that was refused, else to RCPT TO. */
  readonly code: number
  /** Its text without the codes, one line. */
  readonly text: string
}

/** Asks a mail server whether it would take mail for a recipient; undefined: none can be reached. */
export type RecipientProbe = (
  question: RecipientQuestion,
  signal: AbortSignal,
) => Promise<RecipientAnswer | undefined>
