/**
 * Refusals by what they have, the latest first, page by page. A page goes on behind the last refusal that was
 * looked at, which is named by its time and its code: between two pages it may have been written to the
 * file, and it may have been deleted.
 */

import type { RefusalLine, RefusalPage, RefusalQuery } from '../policy/ports/history.ts'
import { refusalLine } from '../policy/refusal-line.ts'
import type { Archive } from './archive.ts'
import type { NewRefusal } from './portion.ts'
import { originOfRefusal, readRefusal } from './record-reader.ts'

/** Refusals of a page. */
const MOST_LINES = 200
/** Refusals that are looked at for a page: some tenths of a second. */
const MOST_LOOKED_AT = 20_000
const STEP_ROWS = 100

interface Row {
  readonly number: number
  readonly at: number
  readonly code: string
  readonly record: Buffer
}

/** Rejects if `before` is of no page, and with RangeError: a record is damaged. */
export async function refusalPage(archive: Archive, query: RefusalQuery): Promise<RefusalPage> {
  const search = new Search(archive, query)
  await archive.inSteps(search.steps())
  return search.page()
}

class Search {
  readonly #archive: Archive
  readonly #query: RefusalQuery
  readonly #most: number
  /** Numbers of the accounts; undefined: all. */
  readonly #accounts: ReadonlySet<number> | undefined
  readonly #found: RefusalLine[] = []
  #lookedAt = 0
  #last: { readonly at: number; readonly code: string } | undefined
  #isAtEnd = false

  constructor(archive: Archive, query: RefusalQuery) {
    this.#archive = archive
    this.#query = query
    this.#most = Math.min(query.most, MOST_LINES)
    const numbers = query.accounts?.map(name => archive.accounts.find(name))
    this.#accounts = numbers && new Set(numbers.filter(number => number >= 0))
  }

  page(): RefusalPage {
    const last = this.#isAtEnd ? undefined : this.#last
    return {
      refusals: this.#found,
      next: last && `${last.at}_${last.code}`,
      reached: last?.at,
    }
  }

  *steps(): Generator<void, void> {
    const before = readPlace(this.#query.before)
    // At the same moment: what the file has is without these.
    const fresh = this.#archive.portions.flatMap(({ refusals }) => refusals).reverse()
    const end = this.#numberBehind()
    const at = before ? fresh.findIndex(one => isAt(one, before)) : -1
    if (before && at < 0) yield* this.#lookAtFile(this.#placeInFile(before))
    else {
      yield* this.#lookAtFresh(fresh.slice(at + 1))
      yield* this.#lookAtFile(end)
    }
  }

  get #isFull(): boolean {
    return this.#found.length >= this.#most || this.#lookedAt >= MOST_LOOKED_AT
  }

  *#lookAtFresh(refusals: readonly NewRefusal[]): Generator<void, void> {
    for (const one of refusals) {
      if (this.#isFull) return
      if (this.#accounts?.has(one.account) !== false) this.#take(one, one.record)
      if (this.#lookedAt % STEP_ROWS === STEP_ROWS - 1) yield
    }
  }

  /** All of the file that may be meant, from that number downwards. */
  *#lookAtFile(end: number): Generator<void, void> {
    const first = this.#firstNumber()
    let below = Math.min(end, this.#endNumber())
    const select = this.#select()
    while (first !== undefined) {
      if (this.#isFull) return
      const rows = select(below, first)
      for (const row of rows) {
        if (this.#isFull) return
        this.#take(row, row.record)
        below = row.number
      }
      if (rows.length < STEP_ROWS) break
      yield
    }
    this.#isAtEnd = true
  }

  #take(one: { readonly at: number; readonly code: string }, record: Buffer): void {
    this.#lookedAt++
    this.#last = { at: one.at, code: one.code }
    const { code = '', since = 0, until = Number.POSITIVE_INFINITY, country, rule } = this.#query
    if (one.at < since || one.at >= until || !one.code.startsWith(code)) return
    if (country !== undefined || rule !== undefined) {
      const origin = originOfRefusal(record)
      if (country !== undefined && origin.country !== country) return
      if (rule !== undefined && origin.by !== rule) return
    }
    this.#found.push(refusalLine(readRefusal(record, undefined)))
  }

  /** The next rows, the latest first: by the index that leaves out most. */
  #select(): (below: number, first: number) => readonly Row[] {
    const { reader } = this.#archive
    const { code = '' } = this.#query
    const accounts = this.#accounts && [...this.#accounts]
    const columns = 'SELECT number, at, code, record FROM refusal'
    const range = 'number < ? AND number >= ?'
    const order = `ORDER BY number DESC LIMIT ${STEP_ROWS}`
    if (accounts) {
      const list = accounts.map(() => '?').join(', ')
      const rows = reader.prepare<number[], Row>(
        `${columns} WHERE account IN (${list}) AND ${range} ${order}`,
      )
      return (below, first) => rows.all(...accounts, below, first)
    }
    if (code !== '') {
      // A code has only letters and digits of ASCII, and a hyphen.
      const rows = reader.prepare<[string, string, number, number], Row>(
        `${columns} WHERE code >= ? AND code < ? AND ${range} ${order}`,
      )
      return (below, first) => rows.all(code, `${code}~`, below, first)
    }
    const rows = reader.prepare<[number, number], Row>(`${columns} WHERE ${range} ${order}`)
    return (below, first) => rows.all(below, first)
  }

  /** All numbers in the file are below. */
  #numberBehind(): number {
    const last = this.#archive.reader
      .prepare<[], number | null>('SELECT max(number) FROM refusal')
      .pluck()
      .get()
    return (last ?? 0) + 1
  }

  /** The number of the refusal that the page before has ended with; if it was deleted, all older ones are below. */
  #placeInFile(before: Place): number {
    const { reader } = this.#archive
    const same = reader
      .prepare<[string, number], number | null>(
        'SELECT min(number) FROM refusal WHERE code = ? AND at = ?',
      )
      .pluck()
      .get(before.code, before.at)
    if (typeof same === 'number') return same
    const older = reader
      .prepare<[number], number | null>('SELECT max(number) FROM refusal WHERE at < ?')
      .pluck()
      .get(before.at)
    return (older ?? 0) + 1
  }

  /** Of the oldest that is not too old; a clock that was set may have mixed them. Undefined: there is none. */
  #firstNumber(): number | undefined {
    const { since } = this.#query
    if (since === undefined) return 0
    const first = this.#archive.reader
      .prepare<[number], number | null>('SELECT min(number) FROM refusal WHERE at >= ?')
      .pluck()
      .get(since)
    return first ?? undefined
  }

  #endNumber(): number {
    const { until } = this.#query
    if (until === undefined) return Number.MAX_SAFE_INTEGER
    const last = this.#archive.reader
      .prepare<[number], number | null>('SELECT max(number) FROM refusal WHERE at < ?')
      .pluck()
      .get(until)
    return (last ?? -1) + 1
  }
}

interface Place {
  readonly at: number
  readonly code: string
}

const isAt = (one: NewRefusal, { at, code }: Place): boolean => one.at === at && one.code === code

function readPlace(text: string | undefined): Place | undefined {
  if (text === undefined) return undefined
  const [, at, code] = /^(\d{1,16}(?:\.\d{1,16})?)_([0-9A-Z-]{0,20})$/.exec(text) ?? []
  if (at === undefined || code === undefined) throw new Error('"before" is not of a page before')
  return { at: Number(at), code }
}
