/** A deadline for somebody else's promise. */

import type { Clock } from './clock.ts'

/** The work's result; rejects with `late()` after `milliseconds`. The work itself continues. */
export function within<T>(
  clock: Pick<Clock, 'after'>,
  milliseconds: number,
  work: Promise<T>,
  late: () => Error,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(milliseconds, () => reject(late()))
    const ended = (settle: () => void): void => {
      cancel()
      settle()
    }
    work.then(
      value => ended(() => resolve(value)),
      error => ended(() => reject(error)),
    )
  })
}
