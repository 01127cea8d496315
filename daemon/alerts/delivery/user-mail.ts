/**
 * Mail to the user whose account it is, to the account's own address.
 *
 * Never while somebody else may be the only one to read it: after a block, or mail from a country that is not
 * allowed, for a day. A thief would learn how much is left, and delete the mail.
 */

import type { Alert, AlertLanguage } from '../alert.ts'
import { type Delivery, DONE, type UserAlerts } from '../delivery.ts'
import { addressOfAccount } from './mailboxes.ts'
import { USER } from './outgoing.ts'
import type { Post } from './post.ts'
import { userValues } from './text-values.ts'
import type { MailTexts } from './texts.ts'

/** So long no mail is sent to an account that looks as if it was stolen. */
const SUSPECT_MILLISECONDS = 86_400_000
/** Accounts of which that is remembered; beyond, the first ones are deleted. */
const MOST_SUSPECTS = 10_000

export interface UserMailOptions {
  readonly user: Exclude<UserAlerts, 'off'>
  readonly language: AlertLanguage
  readonly defaultDomain: string
  readonly hostName: string
  readonly post: Post
  readonly texts: MailTexts
  /** What the daemon knows of the account, also from before a restart. */
  isStolen(account: string): boolean
}

export function userDelivery(options: UserMailOptions): Delivery {
  const suspects = new Suspects()
  return {
    name: 'user',
    batches: 'account',
    problem: () => options.post.problem(),
    held: () => options.post.held(true),
    wants(alert) {
      // Called for each alert at once, so a mail that is waiting for its turn is not sent any more.
      suspects.note(alert)
      if (alert.state === 'cleared') return false
      if (alert.kind === 'account-at-limit') return options.user === 'all'
      return alert.kind === 'account-near'
    },
    async deliver(batch, signal) {
      const alert = batch.find(({ kind }) => kind === 'account-at-limit') ?? batch.at(-1)
      if (alert === undefined) return DONE
      const { account } = alert
      if (suspects.has(account, alert.at) || options.isStolen(account)) return DONE
      const to = addressOfAccount(account, options.defaultDomain)
      if (to === undefined) return { is: 'refused', why: `"${account}" is not a mail address` }
      const { language, hostName, texts, post } = options
      const rendered = await texts.render('user', language, userValues(alert, language, hostName))
      // Once more, because the text may have taken a while to read.
      if (suspects.has(account, alert.at)) return DONE
      const { id, at: date, kind, state } = alert
      const letter = { ...rendered, to, language, date, id: `${id}${USER}`, thread: '' }
      return post.send({ ...letter, alert: `${kind} ${state} ${id}` }, signal)
    },
  }
}

class Suspects {
  /** By account: when it was last seen to be one. */
  readonly #at = new Map<string, number>()

  note({ kind, state, account, at }: Alert): void {
    if (kind !== 'country-refused' && kind !== 'account-blocked') return
    // Only an administrator can tell that an account is its owner's again.
    if (state === 'cleared') {
      if (kind === 'account-blocked') this.#at.delete(account)
      return
    }
    this.#at.delete(account)
    this.#at.set(account, at)
    for (const oldest of this.#at.keys()) {
      if (this.#at.size <= MOST_SUSPECTS) break
      this.#at.delete(oldest)
    }
  }

  has(account: string, now: number): boolean {
    const at = this.#at.get(account)
    return at !== undefined && now - at < SUSPECT_MILLISECONDS
  }
}
