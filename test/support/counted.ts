/** What Postfix has queued, as its log says, and what the ledger has counted in each window. */

import { openSqliteLedger } from '../../daemon/ledger/sqlite-ledger.ts'
import { type CalendarUnit, calendar } from '../../daemon/policy/calendar.ts'
import type { Rolling } from '../../daemon/policy/ports/ledger.ts'

/** By login, or by what a counter counts. */
export type Counts = ReadonlyMap<string, number>

/** Counts added up by another name. */
export function sumsBy(counts: Counts, nameOf: (name: string) => string): Counts {
  const sums = new Map<string, number>()
  for (const [name, count] of counts) sums.set(nameOf(name), (sums.get(nameOf(name)) ?? 0) + count)
  return sums
}

/** Recipients: smtpd says whose message it is, the queue manager with how many it came in. */
export function queuedByLogin(log: string): Counts {
  const logins = new Map<string, string>()
  for (const [, id = '', login = ''] of log.matchAll(
    /smtpd\[\d+\]: (\w+): client=.*, sasl_username=(\S+)$/gm,
  )) {
    logins.set(id, login)
  }
  // By message: one that is tried again is active again.
  const queued = new Map<string, number>()
  for (const [, id = '', count] of log.matchAll(
    /qmgr\[\d+\]: (\w+): from=<.*, nrcpt=(\d+) \(queue active\)$/gm,
  )) {
    if (logins.has(id) && !queued.has(id)) queued.set(id, Number(count))
  }
  return sumsBy(queued, id => logins.get(id) ?? '')
}

export interface CounterQuery {
  readonly counter: string
  readonly window: CalendarUnit | Rolling
  readonly subjects: Iterable<string>
  /** When the counting began, milliseconds since 1970; a calendar window may have ended since. */
  readonly since: number
}

/** The daemon must have ended. */
export function countedIn(
  ledger: string,
  { counter, window, subjects, since }: CounterQuery,
): Counts {
  const now = Date.now()
  const store = openSqliteLedger(ledger, 'normal')
  const windowAt = typeof window === 'string' ? calendar(undefined, window) : () => window
  // The same period is the same object.
  const all = new Set([since, now].map(at => store.periods.of(counter, windowAt(at))))
  try {
    const counts = new Map<string, number>()
    for (const subject of subjects) {
      let used = 0
      for (const period of all) used += store.used(period, subject, now)
      counts.set(subject, used)
    }
    return counts
  } finally {
    store.close()
  }
}
