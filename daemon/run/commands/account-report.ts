/** All that is known of an account (`mtpolicyctl user`): its limits, its measures and its history. */

import type { AccountReport } from '../../control/protocol.ts'
import type { AccountHistory, History, Seen } from '../../policy/ports/history.ts'
import type { Measures } from '../../policy/ports/measures.ts'
import { describeError } from '../../system/errors.ts'
import type { Generation } from '../generation.ts'
import type { Parts } from '../parts.ts'
import { namesOf } from './account-names.ts'
import { keptHistory } from './kept-history.ts'
import { measuresShown } from './shown-measures.ts'

/** Entries of each list: an answer of some hundred KiB, which takes a few milliseconds to write. */
const MOST_LISTED = 100

type Listed = Pick<AccountHistory, 'countries' | 'networks' | 'messages' | 'refusals'>

const NOTHING: Listed = { countries: [], networks: [], messages: [], refusals: [] }

/** `name`: as in sasl_username. An account that nobody has ever used has its limits, too. */
export async function accountReport(
  generation: Generation,
  { history, measures, clock }: Pick<Parts, 'history' | 'clock'> & { readonly measures: Measures },
  name: string,
): Promise<AccountReport> {
  const { account, spellings } = namesOf(generation.assembly.loaded, name)
  const now = clock.now()
  const inForce = measures.of(account, now)
  const [limits, known] = await Promise.all([
    generation.standings(name, now, inForce),
    historyOf(keptHistory(history()), spellings),
  ])
  return {
    account,
    observes: generation.globals.mode === 'observe',
    limits,
    measures: measuresShown(inForce),
    ...known,
  }
}

/** What is kept of an account under all of its names. */
async function historyOf(
  history: History | undefined,
  spellings: readonly string[],
): Promise<Listed & Pick<AccountReport, 'history'>> {
  if (!history) return { history: { state: 'off' }, ...NOTHING }
  try {
    const found = await Promise.all(spellings.map(one => history.account(one)))
    const known = found.filter(one => one !== undefined)
    return {
      history: { state: 'ok' },
      countries: seenBy(known.map(({ countries }) => countries)),
      networks: seenBy(known.map(({ networks }) => networks)),
      messages: latest(known.flatMap(({ messages }) => messages)),
      refusals: latest(known.flatMap(({ refusals }) => refusals)),
    }
  } catch (error) {
    return { history: { state: 'failed', problem: describeError(error) }, ...NOTHING }
  }
}

/** The same country or network of several lists is one. The last one first. */
function seenBy(lists: readonly (readonly Seen[])[]): readonly Seen[] {
  const byName = new Map<string, Seen>()
  for (const one of lists.flat()) {
    const other = byName.get(one.name) ?? one
    byName.set(one.name, {
      name: one.name,
      first: Math.min(one.first, other.first),
      last: Math.max(one.last, other.last),
      messages: one === other ? one.messages : one.messages + other.messages,
    })
  }
  return [...byName.values()].toSorted((a, b) => b.last - a.last).slice(0, MOST_LISTED)
}

function latest<T extends { readonly at: number }>(list: readonly T[]): readonly T[] {
  return list.toSorted((a, b) => b.at - a.at).slice(0, MOST_LISTED)
}
