/** What the shell offers of accounts and codes (`mtpolicyctl complete`). */

import type { History } from '../../policy/ports/history.ts'
import { keptHistory } from './kept-history.ts'

/** More on a screen helps nobody. */
const MOST_OFFERED = 100

/** `measured`: accounts with a measure, which come first: release is about them. */
export async function accountsOffered(
  history: History | undefined,
  measured: readonly string[],
  prefix: string,
): Promise<readonly string[]> {
  const known = (await keptHistory(history)?.accounts(prefix, MOST_OFFERED)) ?? []
  const begin = prefix.toLowerCase()
  const mine = measured.filter(account => account.startsWith(begin))
  return [...new Set([...mine, ...known])].slice(0, MOST_OFFERED)
}

export async function codesOffered(
  history: History | undefined,
  prefix: string,
): Promise<readonly string[]> {
  return (await keptHistory(history)?.recentCodes(prefix, MOST_OFFERED)) ?? []
}
