/** What was sent in each hour, of all accounts or of one: the file's sums, and what is not in it yet. */

import { accountName } from '../policy/account.ts'
import type { HourlySums } from '../policy/ports/history.ts'
import type { SqliteDatabase } from '../system/sqlite.ts'
import type { Archive } from './archive.ts'
import { firstOfHourPage, HOUR, hourKey, readHourPage } from './hour-page.ts'
import { openToRead } from './store.ts'
import { hourOf } from './taking.ts'

/** A year and a day. */
const MOST_HOURS = 367 * 24

class Columns {
  readonly messages: Float64Array
  readonly recipients: Float64Array
  readonly refused: Float64Array
  readonly first: number

  constructor(first: number, hours: number) {
    this.first = first
    this.messages = new Float64Array(hours)
    this.recipients = new Float64Array(hours)
    this.refused = new Float64Array(hours)
  }

  add(hour: number, messages: number, recipients: number, refused: number): void {
    const at = hour - this.first
    // Beyond the ends an element is not there, and is not made.
    this.messages[at] = (this.messages[at] ?? 0) + messages
    this.recipients[at] = (this.recipients[at] ?? 0) + recipients
    this.refused[at] = (this.refused[at] ?? 0) + refused
  }
}

/** Rejects with SQLite's errors, and with RangeError: a page is damaged. */
export async function seriesOf(
  archive: Archive,
  since: number,
  until: number,
  names: readonly string[] | undefined,
): Promise<HourlySums> {
  const last = Math.max(hourOf(until), hourOf(since))
  const first = Math.max(hourOf(since), last - MOST_HOURS + 1)
  const columns = new Columns(first, last - first + 1)
  const wanted = names && numbersOf(archive, names)
  if (!wanted || wanted.size > 0) {
    addUnwritten(archive, columns, wanted)
    // A connection of its own: until the end it sees the file as it is now, without those portions.
    const db = openToRead(archive.path)
    try {
      db.exec('BEGIN')
      // It is the first read that fixes what is seen.
      db.prepare('SELECT seed FROM place').get()
      if (wanted) await archive.inSteps(addAccounts(db, columns, last, wanted))
      else await addAll(archive, db, columns, last)
    } finally {
      db.close()
    }
  }
  // A correction may be in an hour whose page was deleted.
  const whole = (column: Float64Array): number[] => Array.from(column, sum => Math.max(0, sum))
  return {
    first: first * HOUR,
    messages: whole(columns.messages),
    recipients: whole(columns.recipients),
    refused: whole(columns.refused),
  }
}

function numbersOf({ accounts }: Archive, names: readonly string[]): ReadonlySet<number> {
  const numbers = names.map(name => accounts.find(accountName(name, '')))
  return new Set(numbers.filter(number => number >= 0))
}

function addUnwritten(
  { portions }: Archive,
  columns: Columns,
  wanted: ReadonlySet<number> | undefined,
): void {
  for (const { accounts, hours, messages, recipients, refused, count } of portions) {
    for (let item = 0; item < count; item++) {
      if (wanted && !wanted.has(accounts[item] ?? -1)) continue
      const hour = hours[item] ?? 0
      columns.add(hour, messages[item] ?? 0, recipients[item] ?? 0, refused[item] ?? 0)
    }
  }
}

function* addAccounts(
  db: SqliteDatabase,
  columns: Columns,
  last: number,
  wanted: ReadonlySet<number>,
): Generator<void, void> {
  const select = db.prepare<[number], Buffer>('SELECT page FROM hour WHERE key = ?').pluck()
  for (let hour = columns.first; hour <= last; hour++) {
    for (const key of new Set([...wanted].map(number => hourKey(hour, number)))) {
      const page = select.get(key)
      if (!page) continue
      readHourPage(page, firstOfHourPage(key), (account, messages, recipients, refused) => {
        if (wanted.has(account)) columns.add(hour, messages, recipients, refused)
      })
    }
    yield
  }
}

async function addAll(
  archive: Archive,
  db: SqliteDatabase,
  columns: Columns,
  last: number,
): Promise<void> {
  // What is known now belongs to the same moment as what the connection sees.
  const unknown: number[] = []
  for (let hour = columns.first; hour <= last; hour++) {
    const known = archive.totals.get(hour)
    if (known) columns.add(hour, known.messages, known.recipients, known.refused)
    else unknown.push(hour)
  }
  const remembered = archive.totals.begin()
  try {
    await archive.inSteps(addHours(db, columns, unknown, remembered.put))
  } finally {
    remembered.end()
  }
}

function* addHours(
  db: SqliteDatabase,
  columns: Columns,
  hours: readonly number[],
  put: ReturnType<Archive['totals']['begin']>['put'],
): Generator<void, void> {
  const pages = db.prepare<[number, number], { key: number; page: Buffer }>(
    'SELECT key, page FROM hour WHERE key >= ? AND key < ? ORDER BY key LIMIT 1',
  )
  for (const hour of hours) {
    const totals = { messages: 0, recipients: 0, refused: 0 }
    const end = hourKey(hour + 1, 0)
    for (let row = pages.get(hourKey(hour, 0), end); row; row = pages.get(row.key + 1, end)) {
      readHourPage(row.page, 0, (_, messages, recipients, refused) => {
        totals.messages += messages
        totals.recipients += recipients
        totals.refused += refused
      })
      yield
    }
    columns.add(hour, totals.messages, totals.recipients, totals.refused)
    put(hour, totals)
    yield
  }
}
