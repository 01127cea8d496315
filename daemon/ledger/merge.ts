/** Which sums go into the file when it can be used again after counting continued elsewhere. */

import type { Sum } from './account-pages.ts'
import type { CountingPeriod } from './period.ts'

/** Today, and the day before, for each counter: a message may be judged on the day its first request came. */
const PERIODS_THAT_CHANGE = 2

/** The place that counted meanwhile. */
export type Interim =
  /** `whole`: sums in memory that are totals, not additions to the file's. */
  | {
      readonly kind: 'memory'
      readonly store: { sumsInMemory(): Iterable<Sum> }
      readonly whole: ReadonlySet<string>
    }
  /** `isInherited`: an earlier run counted in it too. A damaged copy is not read any more. */
  | {
      readonly kind: 'copy'
      readonly store: {
        readonly seed: number
        sums(newest?: number): Iterable<Sum>
        sumsInMemory(): Iterable<Sum>
      }
      readonly isInherited: boolean
      readonly health: 'sound' | 'damaged'
    }

interface File {
  readonly seed: number
  usedIn(period: CountingPeriod, subject: string, bucket: number): number
}

export function sumsToWrite(from: Interim, into: File): Iterable<Sum> {
  if (from.kind === 'memory') return onTop(from.store.sumsInMemory(), into, from.whole)
  const { store } = from
  if (from.health === 'damaged') return store.sumsInMemory()
  // Not the file it was copied from: nothing of the copy is in there.
  if (store.seed !== into.seed) return onTop(store.sums(), into, new Set())
  // An account's sum in the copy includes what the original has.
  return from.isInherited ? store.sums(PERIODS_THAT_CHANGE) : store.sumsInMemory()
}

function* onTop(sums: Iterable<Sum>, into: File, whole: ReadonlySet<string>): Iterable<Sum> {
  for (const sum of sums) {
    const [period, subject, bucket, used] = sum
    const total = into.usedIn(period, subject, bucket) + used
    yield whole.has(keyOf(sum)) ? sum : [period, subject, bucket, total]
  }
}

/** What sums are of, as in `whole`. */
export function keysOf(sums: Iterable<Sum>): Set<string> {
  return new Set([...sums].map(keyOf))
}

function keyOf([{ counter, name }, subject, bucket]: Sum): string {
  return `${counter}\n${name}\n${bucket}\n${subject}`
}
