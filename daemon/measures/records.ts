/**
 * Measures as they are kept in a file of JSON, for the daemon and for people who look into it: those in
 * force, and those that have ended, for the audit.
 */

import type { Allowance, Block, Measure, OtherLimit } from '../policy/ports/measures.ts'

/** A count that began again: done at once, so it is never in force. */
export interface Reset {
  readonly kind: 'reset'
  readonly account: string
  readonly until: undefined
  readonly at: number
  readonly by: string
  readonly why: string
  /** Those of the counts, as a configuration writes them. */
  readonly windows: readonly string[]
}

/** What became of a measure, and who saw to that; nobody, if it expired. */
export interface Ended {
  readonly measure: Measure | Reset
  readonly how: 'released' | 'replaced' | 'expired' | 'done'
  /** Milliseconds since 1970. */
  readonly endedAt: number
  readonly endedBy: string
}

/** In the order in which they were ordered, or ended. */
export interface Records {
  readonly measures: readonly Measure[]
  readonly ended: readonly Ended[]
}

export const NOTHING: Records = { measures: [], ended: [] }

/** The file cannot be used: what is wrong with it. */
export class DamagedRecords extends Error {
  override readonly name = 'DamagedRecords'
}

const VERSION = 1
const HOW = ['released', 'replaced', 'expired', 'done'] as const

/** What a measure says: `ES,PT`, `5000 per day`; empty for a block. */
export function valueText(measure: Measure | Reset): string {
  switch (measure.kind) {
    case 'block':
      return ''
    case 'allow':
      return measure.countries.join(',')
    case 'limit':
      return `${amountText(measure.threshold)} per ${measure.window}`
    case 'reset':
      return measure.windows.join(',')
  }
}

const amountText = (amount: number): string =>
  Number.isFinite(amount) ? String(amount) : 'unlimited'

/** The line of each record, which never changes: of thousands, few are new when the file is written again. */
const lines = new WeakMap<Measure | Ended, string>()

export function writeRecords({ measures, ended }: Records): string {
  return (
    `{\n  "version": ${VERSION},\n` +
    `  "measures": [${listText(measures, written)}],\n` +
    `  "ended": [${listText(ended, writtenEnd)}]\n}\n`
  )
}

function listText<T extends Measure | Ended>(list: readonly T[], form: (one: T) => object): string {
  const texts = list.map(one => {
    const known = lines.get(one)
    if (known !== undefined) return known
    const line = `\n    ${JSON.stringify(form(one))}`
    lines.set(one, line)
    return line
  })
  return texts.join(',')
}

function written(measure: Measure | Reset): object {
  const { kind, account, at, until, by, why } = measure
  const common = { kind, account, at: timeText(at), by, why }
  const head = until === undefined ? common : { ...common, until: timeText(until) }
  switch (measure.kind) {
    case 'block':
      return head
    case 'allow':
      return { ...head, countries: measure.countries }
    case 'limit':
      return { ...head, window: measure.window, threshold: amountText(measure.threshold) }
    case 'reset':
      return { ...head, windows: measure.windows }
  }
}

const writtenEnd = ({ measure, how, endedAt, endedBy }: Ended): object => ({
  ...written(measure),
  ...{ how, endedAt: timeText(endedAt), endedBy },
})

const timeText = (at: number): string => new Date(at).toISOString()

/** Throws DamagedRecords. */
export function readRecords(text: string): Records {
  let file: unknown
  try {
    file = JSON.parse(text)
  } catch {
    throw new DamagedRecords('it is not JSON')
  }
  const { version, measures, ended } = fieldsOf(file, 'the file')
  if (typeof version === 'number' && version > VERSION) {
    throw new DamagedRecords(`a later version of this program has written it (${version})`)
  }
  if (version !== VERSION) throw new DamagedRecords(`expected "version": ${VERSION}`)
  return {
    measures: listOf(measures, 'measures').map(one => {
      const measure = readMeasure(one)
      if (measure.kind === 'reset') throw new DamagedRecords('a reset is in force')
      return measure
    }),
    ended: listOf(ended, 'ended').map(readEnd),
  }
}

type Fields = Readonly<Record<string, unknown>>

function readEnd(given: unknown): Ended {
  const fields = fieldsOf(given, 'a measure')
  const how = HOW.find(one => one === fields.how)
  if (how === undefined) throw new DamagedRecords(`"how": expected ${HOW.join(', ')}`)
  const [endedAt, endedBy] = [timeOf(fields, 'endedAt'), textOf(fields, 'endedBy')]
  return { measure: readMeasure(given), how, endedAt, endedBy }
}

function readMeasure(given: unknown): Measure | Reset {
  const fields = fieldsOf(given, 'a measure')
  const common = {
    account: textOf(fields, 'account'),
    at: timeOf(fields, 'at'),
    until: fields.until === undefined ? undefined : timeOf(fields, 'until'),
    by: textOf(fields, 'by'),
    why: textOf(fields, 'why'),
  }
  if (common.account === '') throw new DamagedRecords('"account" is empty')
  switch (fields.kind) {
    case 'block':
      return { kind: 'block', ...common } satisfies Block
    case 'allow':
      return {
        kind: 'allow',
        ...common,
        countries: textsOf(fields, 'countries'),
      } satisfies Allowance
    case 'limit': {
      const [window, threshold] = [textOf(fields, 'window'), amountOf(fields, 'threshold')]
      return { kind: 'limit', ...common, window, threshold } satisfies OtherLimit
    }
    case 'reset':
      return { kind: 'reset', ...common, until: undefined, windows: textsOf(fields, 'windows') }
    default:
      throw new DamagedRecords('"kind": expected block, allow, limit or reset')
  }
}

function fieldsOf(given: unknown, what: string): Fields {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return { ...given }
  throw new DamagedRecords(`${what} is not an object`)
}

function listOf(given: unknown, what: string): readonly unknown[] {
  if (Array.isArray(given)) return given
  throw new DamagedRecords(`"${what}" is not a list`)
}

function textOf(fields: Fields, name: string): string {
  const value = fields[name]
  if (typeof value === 'string') return value
  throw new DamagedRecords(`"${name}" is not a text`)
}

function textsOf(fields: Fields, name: string): readonly string[] {
  return listOf(fields[name], name).map(value => textOf({ [name]: value }, name))
}

function timeOf(fields: Fields, name: string): number {
  const at = Date.parse(textOf(fields, name))
  if (Number.isFinite(at)) return at
  throw new DamagedRecords(`"${name}" is not a time`)
}

function amountOf(fields: Fields, name: string): number {
  const text = textOf(fields, name)
  if (text === 'unlimited') return Number.POSITIVE_INFINITY
  if (/^\d{1,10}$/.test(text)) return Number(text)
  throw new DamagedRecords(`"${name}" is not a whole number, or unlimited`)
}
