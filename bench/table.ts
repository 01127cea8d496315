/** Measured figures beside their targets, 80 columns wide. */

type Unit = '%' | 'x' | 'MB' | 'KB' | 'ms' | ''

export interface Row {
  readonly what: string
  readonly measured: number
  readonly unit: Unit
  /** Undefined: it is shown, but has no target. */
  readonly asked?: Asked | undefined
}

export type Asked =
  | { readonly least: number }
  | { readonly most: number }
  /** A difference of a twentieth does not count: figures of the same program differ by as much. */
  | { readonly about: number }
  /** Anything else is a defect of the program that is measured. */
  | { readonly exactly: number }

const DIGITS: Readonly<Record<Unit, number>> = { '%': 1, x: 2, MB: 0, KB: 1, ms: 1, '': 0 }

export const grouped = (number: number, digits = 0): string =>
  number.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })

const withUnit = (text: string, unit: Unit): string => `${text} ${unit}`.trimEnd()

function bound(asked: Asked, unit: Unit): string {
  const shown = (number: number): string =>
    withUnit(grouped(number, Number.isInteger(number) ? 0 : DIGITS[unit]), unit)
  if ('least' in asked) return `>= ${shown(asked.least)}`
  if ('most' in asked) return `<= ${shown(asked.most)}`
  if ('about' in asked) return `about ${shown(asked.about)}`
  return shown(asked.exactly)
}

function verdict({ measured, unit, asked }: Row): string {
  if (asked === undefined) return ''
  // Compared as shown: nobody should read "40.0 %" and "short".
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

/** Measured values, not yet compared. */
export interface Raw {
  readonly name: string
  readonly perSecond: number
  /** Microseconds, like all times here. */
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
