/** What accounts have sent, hour by hour, as the history has it (`mtpolicyctl suggest`). */

import type { HoursArguments } from '../control/control.ts'
import type { History, HourSums } from '../policy/ports/history.ts'

/** Ends with an empty portion. Throws if no history is kept. */
export async function* hoursOf(
  history: History | undefined,
  { since, until }: HoursArguments,
): AsyncGenerator<readonly HourSums[]> {
  if (!history || history.status().state === 'off') {
    throw new Error('no history is kept (history_days = 0)')
  }
  for await (const portion of history.hours(since, until)) if (portion.length > 0) yield portion
  yield []
}
