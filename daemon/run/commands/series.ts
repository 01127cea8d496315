/** What was sent in each hour, by all accounts or by one (the console's plots). */

import type { SeriesArguments } from '../../control/history-arguments.ts'
import type { History, HourlySums } from '../../policy/ports/history.ts'
import type { Generation } from '../generation.ts'
import { namesOf } from './account-names.ts'
import { neededHistory } from './kept-history.ts'

/** Rejects if no history is kept, or if it cannot be read. */
export function series(
  generation: Generation,
  history: History | undefined,
  { since, until, account }: SeriesArguments,
): Promise<HourlySums> {
  const names =
    account === undefined ? undefined : namesOf(generation.assembly.loaded, account).spellings
  return neededHistory(history).series(since, until, names)
}
