/** Who sends most (`mtpolicyctl top`). */

import type { TopArguments } from '../../control/control.ts'
import type { TopSenders } from '../../control/protocol.ts'
import type { History } from '../../policy/ports/history.ts'
import { neededHistory } from './kept-history.ts'

const HOUR = 3_600_000

/** `now`: milliseconds since 1970. Rejects if no history is kept, or if it cannot be read. */
export async function topSenders(
  history: History | undefined,
  { since, until: given, by, most }: TopArguments,
  now: number,
): Promise<TopSenders> {
  const until = Math.min(given ?? now, now)
  const query = { since, until, by, most }
  const senders = await neededHistory(history).top(query)
  return { since: Math.floor(since / HOUR) * HOUR, until, senders }
}
