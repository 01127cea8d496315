/** The table of the largest senders, for a terminal. */

import type { TopArguments } from '../control/control.ts'
import type { TopSenders } from '../control/protocol.ts'
import type { SenderSums } from '../policy/ports/history.ts'
import { columnsOf, cutOff, padded, printable, shortened } from '../text/columns.ts'
import { momentText } from '../text/when.ts'

export const COLUMNS = 79
/** The heading, an empty line and the names of the columns. */
export const HEAD_LINES = 3

const GAP = '  '
/** Countries that a row names. */
const MOST_COUNTRIES = 3
const SHORTEST_ACCOUNT = 12

const NUMBERS = ['recipients', 'messages', 'refused', 'networks'] as const

/** Lines without their ends, none wider than `columns`. */
export function topLines(
  { since, senders }: TopSenders,
  by: TopArguments['by'],
  columns = COLUMNS,
): string[] {
  const heading = `Since ${momentText(since)}, by ${by}; the figures are those of whole hours.`
  if (senders.length === 0) return [heading, '', 'No mail in that time.']
  const countries = senders.map(one => countriesText(one.countries))
  const last = widest(['countries', ...countries])
  const widths = NUMBERS.map(name => widest([name, ...senders.map(one => String(one[name]))]))
  const rest = widths.reduce((sum, width) => sum + width + GAP.length, last + GAP.length)
  const names = senders.map(({ account }) => accountText(account))
  const first = Math.min(widest(['account', ...names]), Math.max(SHORTEST_ACCOUNT, columns - rest))
  const row = (account: string, numbers: readonly string[], end: string): string => {
    const aligned = numbers.map((text, at) => text.padStart(widths[at] ?? 0))
    const cells = [padded(shortened(account, first), first), ...aligned, end]
    return cutOff(cells.join(GAP).trimEnd(), columns)
  }
  return [
    cutOff(heading, columns),
    '',
    row('account', NUMBERS, 'countries'),
    ...senders.map((one, at) => row(names[at] ?? '', numbersOf(one), countries[at] ?? '')),
  ]
}

const numbersOf = (one: SenderSums): string[] => NUMBERS.map(name => String(one[name]))

const widest = (texts: readonly string[]): number => Math.max(...texts.map(columnsOf))

export function accountText(account: string): string {
  return account === '' ? '(no login)' : printable(account)
}

function countriesText(countries: readonly string[]): string {
  const named = countries.slice(0, MOST_COUNTRIES).map(printable)
  const more = countries.length - named.length
  return [...named, ...(more > 0 ? [`+${more}`] : [])].join(' ')
}
