/** Records of an account that are deleted on demand, and what is kept of them for the limits’ sake. */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Forgotten } from '../../control/protocol.ts'
import { accountName } from '../../policy/account.ts'
import { KEPT_DAYS } from '../housekeeping.ts'
import type { Parts } from '../parts.ts'
import { neededHistory } from './kept-history.ts'

const DAY = 86_400_000

/** Undefined: nothing was known of it. Rejects if no history is kept, or something cannot be written. */
export async function forget(
  { history, alerts, measures, clock, state }: Parts,
  given: string,
): Promise<Forgotten | undefined> {
  const kept = neededHistory(history())
  await alerts.forget(given)
  const now = clock.now()
  const ended = measures.forget(given, now)
  const deleted = await kept.forget(given)
  if (!deleted && ended === 0) return undefined
  const nothing = { account: accountName(given, ''), hours: 0, messages: 0, refusals: 0 }
  return {
    ...(deleted ?? nothing),
    measures: ended,
    countsUntil: new Date(now + KEPT_DAYS * DAY).toISOString(),
    inForce: measures.allOf(given, now).length,
    setAside: damagedIn(state),
  }
}

/** Files that were damaged when they were opened, and are kept for somebody to look into. */
function damagedIn(folder: string): string[] {
  const names = readdirSync(folder).filter(name => name.includes('.damaged-'))
  return names.map(name => join(folder, name))
}
