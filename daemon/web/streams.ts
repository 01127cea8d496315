/** How many streams of events are open: bounded together, and for each login, so that one leaves some to the others. */

import type { Who } from './who.ts'

/** Browsers that are shown what happens as it happens. */
const MOST_STREAMS = 200
const MOST_OF_ONE = 100

export class Streams {
  /** By login: those that are open. */
  readonly #open = new Map<string, number>()
  #count = 0

  /** What is to be called at its end; undefined: there are too many. */
  begin(who: Who): (() => void) | undefined {
    const login = loginOf(who)
    const own = this.#open.get(login) ?? 0
    if (this.#count >= MOST_STREAMS || own >= MOST_OF_ONE) return undefined
    this.#count++
    this.#open.set(login, own + 1)
    return () => {
      this.#count--
      const left = (this.#open.get(login) ?? 1) - 1
      if (left > 0) this.#open.set(login, left)
      else this.#open.delete(login)
    }
  }
}

/** A cookie's is told from others by its hash. */
function loginOf(who: Who): string {
  switch (who.by) {
    case 'cookie':
      return `cookie ${who.session.hash}`
    case 'token':
      return `token ${who.session.name}`
    case 'nobody':
      return ''
  }
}
