/** What is measured of the history. */

import type { MeterDeclaration, Meters } from '../policy/ports/meters.ts'
import type { HistoryFigures } from './history.ts'
import type { HistorySlot } from './slot.ts'

const NOTED: MeterDeclaration = {
  name: 'history_records',
  unit: 'records',
  help: 'Verdicts, and steps of refusals, that were noted for the history.',
}
const LOST: MeterDeclaration = {
  name: 'history_records_lost',
  unit: 'records',
  help: 'Verdicts that the history could not keep.',
}
const GAPS: MeterDeclaration = {
  name: 'history_gaps',
  unit: 'gaps',
  help: 'Times of which the history does not know everything (at most 100 are kept).',
}
const SPOOL: MeterDeclaration = {
  name: 'history_spool_bytes',
  unit: 'bytes',
  help: 'Written to the spool of the history, and not taken from there yet.',
}
const OK: MeterDeclaration = {
  name: 'history_ok',
  unit: 'booleans',
  help: '1: the history is kept; 0: it cannot be kept now.',
}

/** Without a history none of them is known. */
export function measureHistory(meters: Meters, slot: HistorySlot): void {
  const reader = (read: (figures: HistoryFigures) => number) => (): number => {
    const figures = slot.figures()
    return figures ? read(figures) : Number.NaN
  }
  meters.total(
    NOTED,
    reader(({ noted }) => noted),
  )
  meters.total(
    LOST,
    reader(({ lost }) => lost),
  )
  meters.gauge(
    GAPS,
    reader(({ gaps }) => gaps),
  )
  meters.gauge(
    SPOOL,
    reader(({ unreadBytes }) => unreadBytes),
  )
  meters.gauge(
    OK,
    reader(() => (slot.status().state === 'ok' ? 1 : 0)),
  )
}
