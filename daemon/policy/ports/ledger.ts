/**
 * Exact counting, as the callers see it; `ledger/` implements it.
 *
 * A message is judged by all its limits at once, and counted by all of them or by none. Every method
 * may answer at once or later, so an implementation may keep its counts in this process (SQLite: no
 * promise anywhere) or on another host. Arguments and results are plain values, which can be
 * serialized; nothing of an argument is kept. Every method throws or rejects with LookupError when the
 * counts cannot be reached. `test/ledger/contract.ts` is the contract in executable form.
 */

import type { MaybePromise } from '../../system/maybe-promise.ts'
import type { Period } from '../calendar.ts'
import type { Stage } from '../request.ts'

/** The last `milliseconds`, at any moment. It is exact to a sixtieth, on the strict side. */
export interface Rolling {
  readonly milliseconds: number
}

/** `bytes`: of the whole message; `recipients`: each one; `messages`: one for the message. */
export type Unit = 'recipients' | 'messages' | 'bytes'

/** One limit that a message is judged by: how much a subject may send in a window. */
export interface Claim {
  /** Name of the counter; a counter has one kind of window and one unit. */
  readonly counter: string
  /** Whose count: an account, a domain, an address; empty for one that all share. */
  readonly subject: string
  readonly window: Period | Rolling
  readonly unit: Unit
  /** In the unit; Infinity for no limit. */
  readonly limit: number
  /** False: count without refusing; `used` may then exceed `limit`. The default is true. */
  readonly enforce?: boolean
}

/** One event of a message, as a policy request reports it. */
export interface LedgerEvent {
  /** Folded login name; empty for mail that is not authenticated. */
  readonly account: string
  readonly stage: Stage
  readonly instance: string
  /** The policy connection, unique within this run of the process. */
  readonly connection: number
  /** `server_address:server_port`: the SMTP service that sent the request. */
  readonly service: string
  readonly recipient: string
  /** `recipient_count`: 0 is taken as 1. */
  readonly recipients: number
  /** `size`; 0 if it is not known at this stage. */
  readonly bytes: number
  /** Postfix's `queue_id`; empty if it is not known at this stage. */
  readonly queueId: string
  /** At RCPT: recipients that the message may have; more are refused. Infinity for no cap. */
  readonly mostRecipients: number
  /** Milliseconds since 1970. */
  readonly now: number
  /** In the order of the chain; at most one of each counter. */
  readonly claims: readonly Claim[]
}

/** Where one claim stands. */
export interface Standing {
  /** False if this claim refuses the message; it is the first that does, the others are true. */
  readonly accepted: boolean
  /** In the unit: counted in the window; at RCPT, reserved ones too. If the message is accepted, it is included. */
  readonly used: number
}

/** What `judge` would answer. */
export interface Preview {
  readonly accepted: boolean
  /** One for each claim, in their order. */
  readonly standings: readonly Standing[]
  /** True if this very message, or recipient, was judged before: nothing more is counted. */
  readonly repeated: boolean
  /**
   * True if the message has more than `mostRecipients`: no claim refuses it. In observe mode it is
   * accepted.
   */
  readonly isOverCap: boolean
}

export interface Judgement extends Preview {
  /**
   * For an answer that lets nothing through after all: nothing of the message, or of this recipient,
   * remains counted, and the next request about it is judged afresh. Throws or rejects as `judge`; the
   * caller reports that. May be called without its object.
   */
  readonly takeBack: () => MaybePromise<void>
}

/**
 * How Postfix's log names a message that it has refused: by its queue id; or, where it has none (behind
 * smtpd_proxy_filter), by the smtpd that had it last, a process id, and its account.
 */
export type LoggedMessage =
  | { readonly queueId: string }
  | { readonly process: number; readonly account: string }

/** A message whose counts were given back. */
export interface GivenBack {
  readonly account: string
  /** Counts that were given back, for the log. */
  readonly amounts: readonly {
    readonly counter: string
    readonly subject: string
    readonly amount: number
  }[]
}

/** A message as requests name it. */
export type RequestedMessage = Pick<LedgerEvent, 'account' | 'instance' | 'service'>

export interface Ledger {
  /** Throws RangeError, and counts nothing, if `recipients` or `bytes` is not a whole number. */
  judge(event: LedgerEvent): MaybePromise<Judgement>
  /** What `judge` would answer at this moment. Changes nothing. */
  preview(event: LedgerEvent): MaybePromise<Preview>
  /**
   * When this event would be accepted by this claim if nothing else is sent: milliseconds since 1970.
   * Undefined if its limit is lower than the message, so it never will. For a rolling window; a calendar
   * window says itself when it ends.
   */
  fitsAt(event: LedgerEvent, claim: Claim): MaybePromise<number | undefined>
  /**
   * Postfix has refused a message after it was accepted here: takes its counts back, once. `at`: when
   * Postfix logged it, milliseconds since 1970; queue ids are used again, so a message that was judged more
   * than an hour away from it is another one. Undefined if there is no such message, or nothing to give back.
   */
  giveBack(message: LoggedMessage, at: number): MaybePromise<GivenBack | undefined>
  /**
   * A message is refused at DATA or END-OF-MESSAGE, whatever earlier requests about it were answered: as
   * `Judgement.takeBack`, and what is reserved for it is released.
   */
  takeBack(message: RequestedMessage, now: number): MaybePromise<void>
  /**
   * Makes everything judged so far durable. When it throws or rejects, everything stays counted and is
   * written with the next call.
   */
  settle(): MaybePromise<void>
  /** The connection is closed: its unfinished message is over. */
  disconnect(connection: number): MaybePromise<void>
  /** Ends messages that have been unfinished for too long. To be called now and then. */
  expire(now: number): MaybePromise<void>
  /** Counted for a subject in a window, without reservations. `now` matters for a rolling one. */
  used(
    counter: string,
    subject: string,
    window: Period | Rolling,
    now: number,
  ): MaybePromise<number>
  /**
   * The count of a subject begins again: nothing that was counted until now is in this window any more, and
   * a message that was counted gives nothing back. What is reserved stays reserved; where a request about
   * such a message comes again, it counts as if for the first time. What was counted, in the unit. It is
   * durable once `settle` has returned.
   */
  reset(
    counter: string,
    subject: string,
    window: Period | Rolling,
    now: number,
  ): MaybePromise<number>
  /** SMTP services that send requests at RCPT only; there, aborted messages are counted too. */
  recipientOnlyServices(): MaybePromise<readonly string[]>
}
