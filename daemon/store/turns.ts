/** One at a time per key: whoever comes second waits in line, for a bounded time. */

import { LookupError } from '../policy/errors.ts'

export interface Turns {
  /** At once if nobody has it, else a promise, which rejects with LookupError after the time. */
  take(key: string, mostMilliseconds: number): void | Promise<void>
  /** To the next in the line. */
  pass(key: string): void
}

export function makeTurns(): Turns {
  const lines = new Map<string, (() => void)[]>()
  return {
    take(key, mostMilliseconds) {
      const line = lines.get(key)
      if (!line) {
        lines.set(key, [])
        return
      }
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          line.splice(line.indexOf(begin), 1)
          reject(new LookupError('another request of the same mail does not end'))
        }, mostMilliseconds)
        const begin = (): void => {
          clearTimeout(timer)
          resolve()
        }
        line.push(begin)
      })
    },
    pass(key) {
      const next = lines.get(key)?.shift()
      if (next) next()
      else lines.delete(key)
    },
  }
}
