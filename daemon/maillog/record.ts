/**
 * What a line of Postfix's log says. Texts are as Postfix logged them: what a client or another server
 * sent is among them.
 */

/** A line before its message is read. */
export interface Envelope {
  /** Milliseconds since 1970. */
  readonly at: number
  /** Empty if the form has none. */
  readonly host: string
  /** Postfix's `syslog_name`: `postfix`, `postfix/submission`, `mta-out`. */
  readonly syslogName: string
  /** The program: `smtpd`, `cleanup`. */
  readonly program: string
  readonly pid: number | undefined
  /** The message itself. */
  readonly text: string
}

interface Common extends Envelope {
  /** Empty if the message has none (NOQUEUE). */
  readonly queueId: string
}

/** Who sends a message: its first line. */
export interface ClientRecord extends Common {
  readonly kind: 'client'
  readonly clientName: string
  /** `unknown` if Postfix does not know it. */
  readonly clientAddress: string
  /** Empty without a login. */
  readonly saslUsername: string
  readonly saslMethod: string
}

/** Something was decided about a message, or about a command of a client. */
export interface ActionRecord extends Common {
  /**
   * `reject`: by a restriction of smtpd, a content rule of cleanup or a proxy filter, for one recipient if the
   * stage is RCPT. `discard` and `hold` are accepted mail; they come from milters, too.
   */
  readonly kind: 'milter-reject' | 'reject' | 'discard' | 'hold'
  /** As logged: `reject`, `milter-header-reject`, `proxy-reject`. */
  readonly action: string
  /** `CONNECT`, `RCPT`, `DATA`, `END-OF-MESSAGE`; for a content rule `header`, `body` or `mime-error`. */
  readonly stage: string
  readonly clientName: string
  /** Empty if not logged, or for mail that no client sent. */
  readonly clientAddress: string
  /** SMTP code, `554`; empty if not logged: cleanup's messages have none. */
  readonly code: string
  /** Enhanced code, `5.7.1`; empty if not logged. */
  readonly enhancedCode: string
  /** Without the codes; for a content rule what it found as well. */
  readonly reason: string
  readonly from: string
  /** The last recipient. */
  readonly to: string
  readonly protocol: string
  readonly helo: string
  /** Since Postfix 3.10, but of a proxy filter in all versions; there, nobody else can write it. */
  readonly saslUsername: string
}

/** The transaction ended before the message was complete (since Postfix 3.10). */
export interface CanceledRecord extends Common {
  readonly kind: 'canceled'
}

/**
 * Postfix itself could not take a message: a map that cannot be looked up, too many hops, a message that is
 * too big, a full disk.
 */
export interface NotAcceptedRecord extends Common {
  readonly kind: 'not-accepted'
  readonly reason: string
}

/** The queue manager has taken a message over. */
export interface QueuedRecord extends Common {
  readonly kind: 'queued'
  readonly from: string
  readonly bytes: number
  readonly recipients: number
}

/** An attempt to deliver to one recipient. */
export interface DeliveryRecord extends Common {
  readonly kind: 'delivery'
  readonly to: string
  /** Before aliases; empty if it is the same. */
  readonly origTo: string
  readonly relay: string
  readonly dsn: string
  /** `sent`, `deferred`, `bounced`, `expired`. */
  readonly status: string
  /** What is in parentheses: the other server's words. */
  readonly reason: string
}

/** A message has left the queue. */
export interface RemovedRecord extends Common {
  readonly kind: 'removed'
}

/** Anything else that a program of Postfix logs. */
export interface OtherRecord extends Common {
  readonly kind: 'other'
}

export type MailRecord =
  | ClientRecord
  | ActionRecord
  | CanceledRecord
  | NotAcceptedRecord
  | QueuedRecord
  | DeliveryRecord
  | RemovedRecord
  | OtherRecord
