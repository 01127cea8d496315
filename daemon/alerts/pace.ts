/**
 * How often mails are sent: what does not fit waits, and then goes together with what has come meanwhile.
 * By the wall clock, because it holds over restarts; a clock that jumps makes nobody wait longer than an hour.
 */

/** Alerts that come at once go together: the first one waits for the others. */
export const GATHER_MILLISECONDS = 10_000
/** About the same account. */
export const ACCOUNT_MILLISECONDS = 600_000
const HOUR = 3_600_000
/** All mails of an hour, and those of them that users may get: the administrator's must find room. */
export const MOST_AN_HOUR = 30
export const MOST_FOR_USERS = 20
/** Mails to the administrator within 10 minutes: what comes after them becomes a digest. */
export const MOST_IN_TEN_MINUTES = 4
const TEN_MINUTES = 600_000
/** Accounts that are remembered, each for 10 minutes; beyond, the first ones are deleted. */
const MOST_ACCOUNTS = 10_000

export interface SentMail {
  /** Milliseconds since 1970. */
  readonly at: number
  /** The delivery. */
  readonly by: string
  /** Accounts it was about, or without one, what was wrong. */
  readonly subjects: readonly string[]
}

export class Pace {
  /** The last ones last. */
  #sent: SentMail[] = []
  /** By delivery and account (or, without one, by kind): when. */
  readonly #accounts = new Map<string, number>()

  sent({ by, at, subjects }: SentMail): void {
    this.#sent.push({ by, at, subjects })
    if (this.#sent.length > MOST_AN_HOUR * 2) this.#sent = this.#sent.slice(-MOST_AN_HOUR)
    for (const subject of subjects) {
      const key = `${by}\n${subject}`
      this.#accounts.delete(key)
      this.#accounts.set(key, at)
    }
    for (const key of this.#accounts.keys()) {
      if (this.#accounts.size <= MOST_ACCOUNTS) break
      this.#accounts.delete(key)
    }
  }

  /** Leaves out what was sent about that account. */
  forget(account: string): void {
    this.#sent = this.#sent.map(mail => {
      return { ...mail, subjects: mail.subjects.filter(one => one !== account) }
    })
    for (const key of this.#accounts.keys()) {
      if (key.endsWith(`\n${account}`)) this.#accounts.delete(key)
    }
  }

  /** As it is written down. */
  get mails(): readonly SentMail[] {
    return this.#sent
  }

  /** Milliseconds until the next mail may be sent; 0: now. `isForUser`: to a user, not the administrator. */
  wait(by: string, isForUser: boolean, now: number): number {
    const recent = this.#sent.filter(({ at }) => isWithin(at, now, HOUR))
    const own = recent.filter(one => one.by === by).map(({ at }) => at)
    const waits = [
      room(
        recent.map(({ at }) => at),
        MOST_AN_HOUR,
        HOUR,
        now,
      ),
    ]
    if (isForUser) waits.push(room(own, MOST_FOR_USERS, HOUR, now))
    else waits.push(room(own, MOST_IN_TEN_MINUTES, TEN_MINUTES, now))
    return Math.max(...waits)
  }

  /** Milliseconds until something may be sent about this account; 0: now. */
  waitFor(by: string, subject: string, now: number): number {
    const at = this.#accounts.get(`${by}\n${subject}`)
    if (at === undefined || !isWithin(at, now, ACCOUNT_MILLISECONDS)) return 0
    return at + ACCOUNT_MILLISECONDS - now
  }
}

/** A moment of the future was noted before the clock was set back. */
function isWithin(at: number, now: number, milliseconds: number): boolean {
  return at <= now && now - at < milliseconds
}

/** Until there are fewer than `most` within `milliseconds`. */
function room(times: readonly number[], most: number, milliseconds: number, now: number): number {
  const within = times.filter(at => isWithin(at, now, milliseconds))
  const first = within.at(-most)
  return first === undefined ? 0 : first + milliseconds - now
}
