/** Refusals that are looked for, page by page (the console's list). */

import type { RefusalListArguments } from '../../control/history-arguments.ts'
import type { RefusalList } from '../../control/protocol.ts'
import type { History } from '../../policy/ports/history.ts'
import type { Generation } from '../generation.ts'
import { namesOf } from './account-names.ts'
import { neededHistory } from './kept-history.ts'

/** Rejects if no history is kept, if it cannot be read, or if `before` is of no page. */
export async function refusalList(
  generation: Generation,
  history: History | undefined,
  { account, ...query }: RefusalListArguments,
): Promise<RefusalList> {
  const kept = neededHistory(history)
  const accounts =
    account === undefined ? undefined : namesOf(generation.assembly.loaded, account).spellings
  const page = await kept.refusalPage({ ...query, accounts })
  return { ...page, days: kept.status().days }
}
