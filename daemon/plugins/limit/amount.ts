/** What a limit counts, and the numbers of a configuration that are amounts of it. */

import type { LedgerEvent, Unit } from '../../policy/ports/ledger.ts'
import { custom, type Setting } from '../../policy/setting.ts'

export const UNITS = ['recipients', 'messages', 'megabytes'] as const
export type UnitName = (typeof UNITS)[number]

export const MEGABYTE = 1_000_000

/** Greatest number of a limit, in its unit. */
export const MOST = 1_000_000_000

const LIMIT = 'a whole number from 0 to 1,000,000,000, or unlimited'

/** Infinity for `unlimited`. */
export function readAmount(text: string): number | undefined {
  if (text.toLowerCase() === 'unlimited') return Number.POSITIVE_INFINITY
  return /^\d{1,10}$/.test(text) && Number(text) <= MOST ? Number(text) : undefined
}

export const threshold = amount('What may be sent per window, in the unit.')
export const most_recipients = amount('Recipients that one message may have.')
export const most_megabytes = amount('Megabytes that one message may have.')

function amount(doc: string): Setting<number> {
  return custom<number>(LIMIT, readAmount, { doc })
}

/** The counter's unit: the ledger counts bytes. */
export function unitOf(name: UnitName): Unit {
  return name === 'megabytes' ? 'bytes' : name
}

/** A counter's name in the ledger: where its unit is changed, it counts from zero, and no bytes as recipients. */
export function counterOf(written: string, unit: Unit): string {
  return unit === 'recipients' ? written : `${written} in ${unit}`
}

/** Counter's units in one of the configuration's. */
export function scaleOf(unit: Unit): number {
  return unit === 'bytes' ? MEGABYTE : 1
}

/** What this event adds, in the counter's unit. */
export function amountOf({ recipients, bytes }: LedgerEvent, unit: Unit): number {
  if (unit === 'recipients') return Math.max(1, recipients)
  return unit === 'messages' ? 1 : bytes
}
