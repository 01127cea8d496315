/** What accounts have sent, hour by hour, as the history has it (`mtpolicyctl suggest`). */

import type { HoursArguments } from '../../control/control.ts'
import type { History, HourSums } from '../../policy/ports/history.ts'
import { neededHistory } from './kept-history.ts'

/** Ends with an empty portion. Throws if no history is kept. */
export async function* hoursOf(
  history: History | undefined,
  { since, until }: HoursArguments,
): AsyncGenerator<readonly HourSums[]> {
  for await (const portion of neededHistory(history).hours(since, until))
    if (portion.length > 0) yield portion
  yield []
}
