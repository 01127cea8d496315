/** Who would have been refused in a replay: by account, bounded whatever names clients make up. */

import { ownText } from '../memory/own-text.ts'
import { accountName } from '../policy/account.ts'
import { kindOfAction, refusesMail } from '../policy/verdict.ts'
import type { Recorded } from './record.ts'
import type { TrialAnswer } from './trial.ts'

/** Accounts beyond are in the sums only. */
const MOST_ACCOUNTS = 100_000
/** Plugins that are named of one account. */
const MOST_PLUGINS = 10

export interface AccountRefusals {
  /** As folded for counting; empty: mail without a login. */
  readonly account: string
  requests: number
  /** Each refused message counts once, with all of its recipients; at RCPT, each recipient that was refused. */
  recipients: number
  /** When it was refused first, milliseconds since 1970. */
  readonly first: number
  /** How often each plugin refused. */
  readonly by: Map<string, number>
  /** The message that was refused last: Postfix may try it again. */
  lastInstance: string
}

export class Refusals {
  readonly #accounts = new Map<string, AccountRefusals>()
  requests = 0
  recipients = 0
  /** Requests of accounts that are not listed. */
  unlisted = 0
  readonly #isMeant: (action: string) => boolean

  /** `isMeant`: what is noted, if not refusals. */
  constructor(isMeant: (action: string) => boolean = refuses) {
    this.#isMeant = isMeant
  }

  /** What is refused, or in observe mode would be; true if it is. */
  note({ t, attributes }: Recorded, { action, by, objection }: TrialAnswer): boolean {
    const told = objection ?? { action, by }
    if (!this.#isMeant(told.action)) return false
    const account = accountName(attributes.get('sasl_username') ?? '', '')
    const known = this.#accounts.get(account) ?? this.#add(account, t)
    const isRecipient = attributes.get('protocol_state') === 'RCPT'
    const instance = attributes.get('instance') ?? ''
    const isAgain = !isRecipient && instance !== '' && instance === known?.lastInstance
    const recipients = isAgain ? 0 : isRecipient ? 1 : countOf(attributes.get('recipient_count'))
    this.requests++
    this.recipients += recipients
    if (!known) {
      this.unlisted++
      return true
    }
    known.requests++
    known.recipients += recipients
    if (!isRecipient) known.lastInstance = ownText(instance)
    if (known.by.size < MOST_PLUGINS || known.by.has(told.by)) {
      known.by.set(told.by, (known.by.get(told.by) ?? 0) + 1)
    }
    return true
  }

  /** Those with the most recipients first. */
  get accounts(): readonly AccountRefusals[] {
    return [...this.#accounts.values()].toSorted(
      (a, b) => b.recipients - a.recipients || b.requests - a.requests || a.first - b.first,
    )
  }

  of(account: string): AccountRefusals | undefined {
    return this.#accounts.get(account)
  }

  #add(name: string, first: number): AccountRefusals | undefined {
    if (this.#accounts.size >= MOST_ACCOUNTS) return undefined
    const by = new Map<string, number>()
    const account = ownText(name)
    const added = { account, requests: 0, recipients: 0, first, by, lastInstance: '' }
    this.#accounts.set(account, added)
    return added
  }
}

/** Where the connection would be closed without an answer, Postfix defers the mail. */
function refuses(action: string): boolean {
  return action === 'close' || refusesMail(action)
}

/** It is accepted, but does not simply go its way: HOLD, DISCARD, REDIRECT, FILTER and the like. */
export function holds(action: string): boolean {
  const kind = kindOfAction(action)
  return action !== 'close' && (kind === 'hold' || kind === 'other')
}

/** As the ledger takes it: at least 1. */
function countOf(text: string | undefined): number {
  const count = Number(text)
  return Number.isSafeInteger(count) && count > 0 ? count : 1
}
