/** The history of the daemon, for commands that are nothing without it. */

import type { History } from '../../policy/ports/history.ts'

export const HISTORY_OFF =
  'no history is kept; to keep 90 days: mtpolicyctl set mtpolicyd/history/days=90 ' +
  '(in a hand-written file: history_days = 90)'

/** Undefined: it is switched off. */
export function keptHistory(history: History | undefined): History | undefined {
  return history?.status().state === 'off' ? undefined : history
}

/** Throws what to do if it is switched off. */
export function neededHistory(history: History | undefined): History {
  const kept = keptHistory(history)
  if (!kept) throw new Error(HISTORY_OFF)
  return kept
}
