/**
 * Writes a portion of the spool to the file: the sums of hours, where accounts were seen, their last messages,
 * refusals, and how far the spool was read, in one transaction. In the order of the accounts, so that each page
 * is written once. In steps: nobody waits for a whole portion.
 */

import type { SqliteDatabase } from '../system/sqlite.ts'
import type { Accounts } from './accounts.ts'
import { writeCountries } from './country-sums.ts'
import { dayOf, HEAD_ACCOUNTS, type Heads, headKey } from './heads.ts'
import { firstOfHourPage, HOUR, hourKey, type Sums, withSums } from './hour-page.ts'
import { writeInstances } from './instances-kept.ts'
import { MESSAGE_ACCOUNTS, MOST_MESSAGES, portionKey } from './message-page.ts'
import { unpacked } from './packing.ts'
import { PageWriter } from './page-writer.ts'
import { inReading, NOWHERE, type Portion } from './portion.ts'
import { differentOf, orderOf, those } from './portion-order.ts'
import { clientAt } from './record-reader.ts'
import { changedPage, WEEK, weekKey } from './seen-page.ts'
import { Sights } from './sights.ts'
import { BYTES, RECIPIENTS } from './spool-format.ts'
import { checkpointByItself, Pages } from './store.ts'

const UINT32 = 0xffff_ffff
/** Items of a step. */
const STEP_ITEMS = 2000
const NO_PAGE = Buffer.alloc(0)

export class Fold {
  readonly #db: SqliteDatabase
  readonly #pages: Readonly<Record<'head' | 'hour' | 'seen' | 'message', Pages>>
  readonly #writer = new PageWriter()
  readonly #entryWriter = new PageWriter()
  readonly #sights = new Sights()

  constructor(db: SqliteDatabase) {
    this.#db = db
    this.#pages = {
      head: new Pages(db, 'head'),
      hour: new Pages(db, 'hour'),
      seen: new Pages(db, 'seen'),
      message: new Pages(db, 'message'),
    }
  }

  /**
   * The steps of writing a portion; the transaction ends with the last one. Throws SQLite's errors and
   * RangeError (a page is damaged); then nothing was written. `heads` is not changed.
   */
  *steps(portion: Portion, accounts: Accounts, heads: Heads): Generator<void, void> {
    // What comes after the commit is `checkpoint`.
    this.#db.pragma('wal_autocheckpoint = 0')
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      yield* this.#writeAccounts(portion, accounts)
      const order = orderOf(portion)
      yield
      yield* this.#writeHours(portion, order)
      yield* writeCountries(this.#db, portion)
      yield* this.#writeSeen(portion, order)
      const bytes = yield* this.#writeMessages(portion, order, heads)
      yield* this.#writeHeads(portion, order, heads)
      yield* this.#writeRefusals(portion)
      this.#writeRest(portion, bytes)
      this.#db.exec('COMMIT')
    } catch (error) {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
      throw error
    } finally {
      if (this.#db.open) checkpointByItself(this.#db)
    }
  }

  *#writeAccounts({ newAccounts }: Portion, accounts: Accounts): Generator<void, void> {
    const insert = this.#db.prepare<[number, Uint8Array]>(
      'INSERT OR REPLACE INTO account VALUES (?, ?)',
    )
    for (const [i, number] of newAccounts.entries()) {
      const name = accounts.bytesOf(number)
      if (name) insert.run(number, Buffer.from(name))
      if (i % STEP_ITEMS === STEP_ITEMS - 1) yield
    }
  }

  *#writeHours(portion: Portion, order: Uint32Array): Generator<void, void> {
    const { accounts, hours, messages, recipients, refused, bytes } = portion
    // Usually there is one, or two.
    for (const hour of differentOf(portion.count, item => hours[item] ?? 0)) {
      const mine = those(order, item => hours[item] === hour)
      yield
      yield* byPages(
        mine,
        item => hourKey(hour, accounts[item] ?? 0),
        (key, items) => {
          const additions = new Map<number, Sums>()
          for (const item of items) {
            const account = accounts[item] ?? 0
            let sums = additions.get(account)
            if (!sums) {
              sums = { messages: 0, recipients: 0, refused: 0, bytes: 0 }
              additions.set(account, sums)
            }
            sums.messages += messages[item] ?? 0
            sums.recipients += recipients[item] ?? 0
            sums.refused += refused[item] ?? 0
            sums.bytes += bytes[item] ?? 0
          }
          const before = this.#pages.hour.get(key)
          const page = withSums(before, firstOfHourPage(key), additions, this.#writer)
          this.#pages.hour.put(key, page)
        },
      )
    }
  }

  *#writeSeen(portion: Portion, order: Uint32Array): Generator<void, void> {
    const weekOf = (item: number): number => {
      return Math.floor(((portion.hours[item] ?? 0) * HOUR) / WEEK)
    }
    const isSeen = (item: number): boolean => portion.places[item] !== NOWHERE
    for (const week of differentOf(portion.count, weekOf)) {
      const mine = those(order, item => isSeen(item) && weekOf(item) === week)
      yield
      const keyOf = (item: number): number => weekKey(week, portion.accounts[item] ?? 0)
      yield* byPages(mine, keyOf, (key, items) => {
        const before = this.#pages.seen.get(key)
        const page = before ? unpacked(before) : NO_PAGE
        const groups = [...byAccount(portion, items)]
        const accounts = groups.map(group => portion.accounts[group[0] ?? 0] ?? 0)
        const sights = this.#sights
        let next = 0
        const write = (_: number, from: number, end: number): void => {
          sights.clear()
          sights.read(page, from, end, week * WEEK)
          for (const item of groups[next++] ?? []) addSight(portion, item, sights)
          sights.write(week * WEEK, this.#entryWriter)
        }
        const changed = changedPage(page, accounts, write, this.#writer, this.#entryWriter)
        this.#pages.seen.put(key, changed)
      })
    }
  }

  /** The bytes of all pages. */
  *#writeMessages(portion: Portion, order: Uint32Array, heads: Heads): Generator<void, number> {
    const seen = those(order, item => portion.places[item] !== NOWHERE)
    yield
    let sum = 0
    const keyOf = (item: number): number => portionKey(portion.number, portion.accounts[item] ?? 0)
    yield* byPages(seen, keyOf, (key, items) => {
      const writer = this.#writer
      writer.clear()
      let last = firstOf(portion.accounts[items[0] ?? 0] ?? 0, MESSAGE_ACCOUNTS)
      for (const group of byAccount(portion, items)) {
        const account = portion.accounts[group[0] ?? 0] ?? 0
        this.#entryWriter.clear()
        for (const item of group.slice(-MOST_MESSAGES))
          copyMessage(portion, item, this.#entryWriter)
        writer.number(account - last)
        writer.number(heads.portionOf(account))
        writer.number(this.#entryWriter.length)
        writer.copy(this.#entryWriter.bytes, 0, this.#entryWriter.length)
        last = account
      }
      sum += writer.length
      this.#pages.message.put(key, writer.page())
    })
    return sum
  }

  *#writeHeads(portion: Portion, order: Uint32Array, heads: Heads): Generator<void, void> {
    const keyOf = (item: number): number => headKey(portion.accounts[item] ?? 0)
    yield* byPages(order, keyOf, (key, items) => {
      const page = heads.page(key)
      for (const item of items) {
        const place = (portion.accounts[item] ?? 0) % HEAD_ACCOUNTS
        if (portion.places[item] !== NOWHERE) page.writeUInt32LE(portion.number, place * 4)
        page.writeUInt16LE(dayOf(portion.hours[item] ?? 0), HEAD_ACCOUNTS * 4 + place * 2)
      }
      this.#pages.head.put(key, page)
    })
  }

  *#writeRefusals({ refusals, steps }: Portion): Generator<void, void> {
    const insert = this.#db.prepare(
      'INSERT INTO refusal (at, account, code, queue, instance, record, steps) VALUES (?, ?, ?, ?, ?, ?, ?)',
    )
    for (const [i, one] of refusals.entries()) {
      const { at, account, code, queueId, instance, record } = one
      insert.run(at, account, code, queueId, instance, record, one.steps ?? null)
      if (i % 200 === 199) yield
    }
    const explain = this.#db.prepare(
      'UPDATE refusal SET steps = ? WHERE number = (SELECT max(number) FROM refusal WHERE code = ?)',
    )
    for (const [code, bytes] of steps) explain.run(bytes, code)
  }

  #writeRest(portion: Portion, bytes: number): void {
    const gap = this.#db.prepare('INSERT INTO gap ("from", "to", missing, why) VALUES (?, ?, ?, ?)')
    for (const { from, to, missing, why } of portion.gaps) gap.run(from, to, missing, why)
    let last = 0
    for (let item = 0; item < portion.count; item++) last = Math.max(last, portion.hours[item] ?? 0)
    writeInstances(this.#db, portion.number, portion.instances)
    const { file, offset } = portion.end
    this.#db.prepare('INSERT INTO portion VALUES (?, ?, ?)').run(portion.number, last, bytes)
    this.#db
      .prepare('UPDATE place SET file = ?, "offset" = ?, portion = ?')
      .run(file, offset, portion.number)
  }
}

/** What a written portion changes in memory. */
export function noteHeads(portion: Portion, heads: Heads): void {
  for (let item = 0; item < portion.count; item++) {
    const account = portion.accounts[item] ?? 0
    const isSeen = portion.places[item] !== NOWHERE
    const number = isSeen ? portion.number : heads.portionOf(account)
    heads.set(account, number, dayOf(portion.hours[item] ?? 0))
  }
}

const firstOf = (account: number, each: number): number => account - (account % each)

/** Calls `write` for the items of each page; a step ends now and then. */
function* byPages(
  items: Uint32Array,
  keyOf: (item: number) => number,
  write: (key: number, items: Uint32Array) => void,
): Generator<void, void> {
  let done = 0
  for (let from = 0; from < items.length; ) {
    const key = keyOf(items[from] ?? 0)
    let end = from + 1
    while (end < items.length && keyOf(items[end] ?? 0) === key) end++
    write(key, items.subarray(from, end))
    // A page takes its time, too.
    done += end - from + 100
    from = end
    if (done < STEP_ITEMS) continue
    done = 0
    yield
  }
}

function* byAccount({ accounts }: Portion, items: Uint32Array): Generator<Uint32Array, void> {
  for (let from = 0; from < items.length; ) {
    const account = accounts[items[from] ?? 0]
    let end = from + 1
    while (end < items.length && accounts[items[end] ?? 0] === account) end++
    yield items.subarray(from, end)
    from = end
  }
}

/** What is told by an item of the client. */
export function addSight(portion: Portion, item: number, sights: Sights): void {
  const place = portion.places[item] ?? NOWHERE
  const bytes = portion.readingOf(place)
  const message = inReading(place)
  const name = inReading(portion.names[item] ?? 0)
  const accepted = portion.messages[item] === 1 ? 1 : 0
  sights.addOne(bytes, clientAt(bytes, message), name, portion.times[item] ?? 0, accepted)
}

/** With what is known of it in the end. */
export function copyMessage(portion: Portion, item: number, writer: PageWriter): void {
  const place = portion.places[item] ?? NOWHERE
  const bytes = portion.readingOf(place)
  const message = inReading(place)
  const length = portion.lengths[item] ?? 0
  writer.number(length)
  const at = writer.copy(bytes, message, message + length)
  if (portion.messages[item] !== 1) return
  const recipients = Math.min(portion.recipients[item] ?? 0, UINT32)
  writer.bytes.writeUInt32LE(recipients, at + RECIPIENTS)
  writer.bytes.writeDoubleLE(portion.bytes[item] ?? 0, at + BYTES)
}
