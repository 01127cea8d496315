/** What the shell offers of the history (`mtpolicyctl complete`). */

import type { History } from '../../policy/ports/history.ts'
import { keptHistory } from './kept-history.ts'

/** More on a screen helps nobody. */
const MOST_OFFERED = 100

export async function accountsOffered(
  history: History | undefined,
  prefix: string,
): Promise<readonly string[]> {
  return (await keptHistory(history)?.accounts(prefix, MOST_OFFERED)) ?? []
}

export async function codesOffered(
  history: History | undefined,
  prefix: string,
): Promise<readonly string[]> {
  return (await keptHistory(history)?.recentCodes(prefix, MOST_OFFERED)) ?? []
}
