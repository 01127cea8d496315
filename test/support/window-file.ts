/** A window's counts, with all of its pages in memory, and a file of them. */

import type { PackedCounts } from '../../daemon/ledger/counts.ts'
import { PAGES } from '../../daemon/ledger/file.ts'
import { type CountingPeriod, Periods } from '../../daemon/ledger/period.ts'
import { Subjects } from '../../daemon/ledger/subjects.ts'
import { WindowPages } from '../../daemon/ledger/window-pages.ts'

/** Pages as the file has them, by number. */
export type PageFile = Map<number, PackedCounts>

export const HOUR = new Periods().named('hour', '~60000')
export const DAY = new Periods().named('limit', '2026-11-20')

/** Throws RangeError. */
export function readWindow(
  period: CountingPeriod,
  file: PageFile,
  { seed = 7, subjects = new Subjects(seed) } = {},
): WindowPages {
  const window = new WindowPages(period, subjects)
  for (let page = 0; page < PAGES; page++) window.load(page, file.get(page))
  return window
}

/** Writes the pages that have changed; their numbers. */
export function writeWindow(window: WindowPages, file: PageFile): readonly number[] {
  const all = Array.from({ length: PAGES }, (_, page) => page)
  const changed = all.filter(page => window.states.isDirty(page))
  for (const page of changed) {
    const { sums, names = file.get(page)?.names } = window.pack(page)
    if (!names) throw new Error('there are no names')
    file.set(page, { sums: Buffer.from(sums), names: Buffer.from(names) })
    window.states.isWritten(page)
  }
  return changed
}

export function sumsOf(window: WindowPages): (readonly [string, number, number])[] {
  return Array.from({ length: PAGES }, (_, page) => [...window.sumsIn(page)]).flat()
}
