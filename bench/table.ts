/** What was measured beside what is asked, 80 columns wide. */

type Unit = '%' | 'x' | 'MB' | 'KB' | 'ms' | ''

export interface Row {
  readonly what: string
  readonly measured: number
  readonly unit: Unit
  /** Undefined: it is shown, and nothing is asked of it. */
  readonly asked?: Asked | undefined
}

export type Asked =
  | { readonly least: number }
  | { readonly most: number }
  /** A twentieth less is still about as much: the same program differs so from itself. */
  | { readonly about: number }
  /** Anything else is a mistake of the program that is measured. */
  | { readonly exactly: number }

const DIGITS: Readonly<Record<Unit, number>> = { '%': 1, x: 2, MB: 0, KB: 1, ms: 1, '': 0 }

export const grouped = (number: number, digits = 0): string =>
  number.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })

const withUnit = (text: string, unit: Unit): string => `${text} ${unit}`.trimEnd()

function bound(asked: Asked, unit: Unit): string {
  if ('least' in asked) return withUnit(`>= ${grouped(asked.least)}`, unit)
  if ('most' in asked) return withUnit(`<= ${grouped(asked.most)}`, unit)
  if ('about' in asked) return withUnit(`about ${grouped(asked.about)}`, unit)
  return withUnit(grouped(asked.exactly), unit)
}

function verdict({ measured, unit, asked }: Row): string {
  if (asked === undefined) return ''
  // As it is shown: nobody should read "40.0 %" and "short".
  const shown = Number(measured.toFixed(DIGITS[unit]))
  if ('exactly' in asked) return shown === asked.exactly ? 'ok' : 'WRONG'
  if ('least' in asked) return shown >= asked.least ? 'ok' : 'short'
  if ('most' in asked) return shown <= asked.most ? 'ok' : 'short'
  return shown >= asked.about * 0.95 ? 'ok' : 'short'
}

function line(name: string, what: string, measured: string, asked: string, word: string): string {
  const cells = [name.padEnd(19), what.padEnd(27), measured.padStart(12), asked.padStart(13)]
  return `${`${cells.join('')}  ${word}`.trimEnd()}\n`
}

export const head = line('', '', 'measured', 'asked', '')

/** The rows of a case, its name in the first. */
export function tableOf(name: string, rows: readonly Row[]): string {
  const lines = rows.map((row, i) => {
    const { what, measured, unit, asked } = row
    const shown = withUnit(grouped(measured, DIGITS[unit]), unit)
    const limit = asked === undefined ? '' : bound(asked, unit)
    return line(i === 0 ? name : '', what, shown, limit, verdict(row))
  })
  return lines.join('')
}

/** What was measured, not yet compared. */
export interface Raw {
  readonly name: string
  readonly perSecond: number
  /** Microseconds, as all times here. */
  readonly p50: number
  readonly p99: number
  readonly max: number
  /** Of the server, per request. */
  readonly cpu: number
  readonly megabytes: number
}

function rawLine(name: string, cells: readonly string[]): string {
  return `${name.padEnd(26)}${cells.map(cell => cell.padStart(9)).join('')}\n`
}

export const rawHead = rawLine('', ['req/s', 'p50 µs', 'p99 µs', 'max ms', 'CPU µs', 'RSS MB'])

export function rawTableOf(name: string, contestants: readonly Raw[]): string {
  const lines = contestants.map(({ name, perSecond, p50, p99, max, cpu, megabytes }) => {
    const cells = [perSecond, p50, p99, max / 1000, cpu, megabytes]
    return rawLine(
      `  ${name}`,
      cells.map(cell => grouped(cell)),
    )
  })
  return `${name}\n${lines.join('')}`
}
