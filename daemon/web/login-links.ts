/**
 * Links that log in once. The secret is behind the `#` of the address, which no browser sends and no proxy
 * logs; the page posts it. Kept in memory only: a restart makes them invalid.
 */

import type { Role } from './router.ts'
import { hashOf, newSecret } from './secret.ts'

/** Ten minutes. */
export const LINK_MILLISECONDS = 600_000
/** Unused ones; beyond that the oldest is invalid. */
const MOST_LINKS = 20

export interface Login {
  readonly role: Role
  /** Who has made it. */
  readonly name: string
}

interface Link extends Login {
  readonly until: number
}

export class LoginLinks {
  readonly #now: () => number
  readonly #links = new Map<string, Link>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** The secret. */
  make({ role, name }: Login): string {
    const secret = newSecret()
    if (this.#links.size >= MOST_LINKS) {
      const [oldest = ''] = this.#links.keys()
      this.#links.delete(oldest)
    }
    this.#links.set(hashOf(secret), { role, name, until: this.#now() + LINK_MILLISECONDS })
    return secret
  }

  /** Once: the second time there is none. */
  take(secret: string): Login | undefined {
    const hash = hashOf(secret)
    const link = this.#links.get(hash)
    this.#links.delete(hash)
    return link && this.#now() < link.until ? link : undefined
  }
}
