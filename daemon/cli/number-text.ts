/** Numbers and names as they are printed on a terminal. */

import { oneLine } from '../policy/verdict.ts'

/** `1,234,567` */
export function grouped(number: number): string {
  return String(Math.round(number)).replace(/\B(?=(?:\d{3})+$)/g, ',')
}

/** `1 request`, `1,234 requests` */
export function counted(number: number, noun: string): string {
  return `${grouped(number)} ${noun}${number === 1 ? '' : 's'}`
}

/** A length of time, rounded up: `45 s`, `3 min`, `5 h`, `12 days` */
export function timeText(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} s`
  if (seconds < 100 * 60) return `${Math.ceil(seconds / 60)} min`
  const hours = Math.ceil(seconds / 3600)
  return hours < 100 ? `${hours} h` : `${grouped(Math.ceil(hours / 24))} days`
}

/** A name that comes from elsewhere, in at most `columns`: it must not control the terminal. */
export function shortName(name: string, columns: number): string {
  const text = oneLine(name)
  return text.length > columns ? `${text.slice(0, columns - 1)}…` : text
}

/** Rows in columns two spaces apart; those of numbers, by their place, are set to the right. */
export function columns(
  rows: ReadonlyArray<readonly string[]>,
  numbers: readonly number[],
  indent = '  ',
): string {
  const widths = rows[0]?.map((_, at) => Math.max(...rows.map(row => row[at]?.length ?? 0))) ?? []
  return rows
    .map(row => {
      const cells = row.map((cell, at) => {
        const width = widths[at] ?? 0
        return numbers.includes(at) ? cell.padStart(width) : cell.padEnd(width)
      })
      return `${indent}${cells.join('  ').trimEnd()}\n`
    })
    .join('')
}
