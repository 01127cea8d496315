/**
 * What is deleted: of an account everything, if an administrator wants it, and of all what has become old or is
 * too much. In small transactions; what is deleted is overwritten, also in the write-ahead log.
 */

import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { Deleted } from '../policy/ports/history.ts'
import type { Archive } from './archive.ts'
import { DAY, headKey } from './heads.ts'
import {
  firstOfHourPage,
  HOUR,
  HOUR_ACCOUNTS,
  hourKey,
  readHourPage,
  type Sums,
  withSums,
} from './hour-page.ts'
import { groupIn, messagesIn, portionKey, withoutGroup } from './message-page.ts'
import { packSteps, unpacked } from './packing.ts'
import { PageWriter } from './page-writer.ts'
import { changedPage, SEEN_ACCOUNTS, WEEK, weekKey } from './seen-page.ts'
import { dropAside, Pages } from './store.ts'

/** Refusals that are kept. */
const MOST_REFUSALS = 200_000
/** Bytes of the last messages of all accounts. */
const MOST_MESSAGE_BYTES = 128 * 1024 * 1024
const MOST_GAPS = 1000
/** Somebody may be reading. */
const LOG_TRIES = 50
const LOG_REST_MILLISECONDS = 100
/** Rows that one step deletes. */
const STEP_ROWS = 200

/** Everything that is kept of an account; the spool is to be read up to its end. */
export async function deleteAccount(archive: Archive, number: number): Promise<Deleted> {
  // Twice: what was read while the first portion was written is another one.
  for (const _ of [1, 2]) {
    if (!(await archive.write())) throw new Error(`cannot write the history (${archive.problem})`)
  }
  return archive.exclusively(async () => {
    const { db, accounts } = archive
    const account = accounts.nameOf(number)
    const hours = await deleteHours(archive, number)
    archive.totals.clear()
    await deleteSeen(archive, number)
    const messages = await deleteMessages(archive, number)
    const refusals = db.prepare('DELETE FROM refusal WHERE account = ?').run(number).changes
    archive.forgetInstances(number)
    for (const recent of archive.recents) recent.clear(number)
    archive.heads.set(number, 0, 0)
    // Unless it has sent something meanwhile.
    const isGone = !archive.portions.some(({ accounts, count }) =>
      accounts.subarray(0, count).includes(number),
    )
    // Last: what was not finished can be done again.
    db.transaction(() => {
      new Pages(db, 'head').put(headKey(number), archive.heads.page(headKey(number)))
      if (isGone) db.prepare('DELETE FROM account WHERE number = ?').run(number)
    })()
    if (isGone) accounts.remove(number)
    await emptyLog(archive)
    dropAside(archive.path, 0)
    return { account, hours, messages, refusals }
  })
}

/** The write-ahead log still has what the pages were before. */
async function emptyLog({ db }: Archive): Promise<void> {
  for (let tries = 0; tries < LOG_TRIES; tries++) {
    const isBusy = Number(db.pragma('wal_checkpoint(TRUNCATE)', { simple: true })) !== 0
    if (!isBusy) return
    await sleep(LOG_REST_MILLISECONDS)
  }
}

async function deleteHours({ db }: Archive, number: number): Promise<number> {
  const hour = hourKey(1, 0)
  const page = Math.floor(number / HOUR_ACCOUNTS)
  const keys = db
    .prepare<[number, number], number>('SELECT key FROM hour WHERE key % ? = ?')
    .pluck()
    .all(hour, page)
  const pages = new Pages(db, 'hour')
  const writer = new PageWriter()
  let found = 0
  for (const key of keys) {
    const before = pages.get(key)
    const taken = new Map<number, Sums>()
    const first = firstOfHourPage(key)
    readHourPage(
      before ?? Buffer.alloc(0),
      first,
      (account, messages, recipients, refused, bytes) => {
        if (account !== number) return
        const sums = {
          messages: -messages,
          recipients: -recipients,
          refused: -refused,
          bytes: -bytes,
        }
        taken.set(account, sums)
      },
    )
    if (taken.size === 0) continue
    found++
    pages.put(key, withSums(before, first, taken, writer))
    await setImmediate()
  }
  return found
}

async function deleteSeen({ db }: Archive, number: number): Promise<void> {
  const week = weekKey(1, 0)
  const keys = db
    .prepare<[number, number], number>('SELECT key FROM seen WHERE key % ? = ?')
    .pluck()
    .all(week, Math.floor(number / SEEN_ACCOUNTS))
  const pages = new Pages(db, 'seen')
  const [writer, entry] = [new PageWriter(), new PageWriter()]
  const nothing = (): void => undefined
  for (const key of keys) {
    const page = unpacked(pages.get(key) ?? Buffer.alloc(0))
    const without = changedPage(page, [number], nothing, writer, entry)
    if (without?.length !== page.length) pages.put(key, without)
    await setImmediate()
  }
}

/** How many there were. */
async function deleteMessages({ db, heads }: Archive, number: number): Promise<number> {
  const pages = new Pages(db, 'message')
  const writer = new PageWriter()
  let found = 0
  for (let portion = heads.portionOf(number); portion > 0; ) {
    const key = portionKey(portion, number)
    const page = pages.get(key)
    const group = page && groupIn(page, number)
    if (!page || !group) break
    found += messagesIn(group.messages).length
    pages.put(key, withoutGroup(page, number, writer))
    // Until the next step, what is left is found from here.
    heads.set(number, group.before, heads.dayOf(number))
    portion = group.before < portion ? group.before : 0
    await setImmediate()
  }
  return found
}

/** What is older than this many days, and what is too much. */
export function deleteOld(archive: Archive, now: number, days: number): Promise<void> {
  return archive.exclusively(() => archive.inSteps(oldSteps(archive, now - days * DAY)))
}

/** What will hardly change any more takes less room from now on. */
export function packOld(archive: Archive, now: number): Promise<void> {
  return archive.exclusively(() => archive.inSteps(packSteps(archive.db, now)))
}

function* oldSteps(archive: Archive, before: number): Generator<void, void> {
  const { db } = archive
  const hour = Math.floor(before / HOUR)
  yield* inPortions(archive, 'hour', 'key', `key < ${hourKey(Math.max(0, hour), 0)}`)
  archive.totals.dropBefore(hour)
  db.prepare('DELETE FROM country WHERE hour < ?').run(hour)
  // A week is deleted when all of it is old.
  yield* inPortions(
    archive,
    'seen',
    'key',
    `key < ${weekKey(Math.max(0, Math.floor(before / WEEK)), 0)}`,
  )
  yield* inPortions(archive, 'refusal', 'number', `at < ${before}`)
  const refusals = Number(db.prepare('SELECT count(*) FROM refusal').pluck().get())
  if (refusals > MOST_REFUSALS) {
    const last = db.prepare('SELECT number FROM refusal ORDER BY number LIMIT 1 OFFSET ?').pluck()
    const kept = Number(last.get(refusals - MOST_REFUSALS))
    yield* inPortions(archive, 'refusal', 'number', `number < ${kept}`)
  }
  yield* inPortions(archive, 'gap', 'number', `"to" < ${before}`)
  yield* inPortions(
    archive,
    'gap',
    'number',
    `number <= (SELECT max(number) FROM gap) - ${MOST_GAPS}`,
  )
  yield* oldMessages(archive, hour)
  yield* oldAccounts(archive, Math.floor(before / DAY))
}

function* inPortions(
  { db }: Archive,
  table: string,
  key: string,
  where: string,
): Generator<void, void> {
  const some = `SELECT ${key} FROM ${table} WHERE ${where} ORDER BY ${key} LIMIT ${STEP_ROWS}`
  const drop = db.prepare(`DELETE FROM ${table} WHERE ${key} IN (${some})`)
  while (drop.run().changes === STEP_ROWS) yield
}

/** The oldest portions: those before an hour, and what is above MOST_MESSAGE_BYTES. */
function* oldMessages(archive: Archive, hour: number): Generator<void, void> {
  const { db } = archive
  const oldest = db.prepare<[], { number: number; at: number; bytes: number }>(
    'SELECT number, at, bytes FROM portion ORDER BY number LIMIT 1',
  )
  const drop = db.prepare('DELETE FROM portion WHERE number = ?')
  let bytes = Number(db.prepare('SELECT coalesce(sum(bytes), 0) FROM portion').pluck().get())
  for (let row = oldest.get(); row; row = oldest.get()) {
    if (row.at >= hour && bytes <= MOST_MESSAGE_BYTES) return
    yield* inPortions(archive, 'message', 'key', `key < ${portionKey(row.number + 1, 0)}`)
    drop.run(row.number)
    bytes -= row.bytes
    yield
  }
}

/** Those of which nothing is left. */
function* oldAccounts(archive: Archive, day: number): Generator<void, void> {
  const { db, accounts, heads } = archive
  const drop = db.prepare('DELETE FROM account WHERE number = ?')
  let unwritten: Set<number> | undefined
  for (let number = 0; number < accounts.end; number++) {
    if (number % 1000 === 999) {
      yield
      unwritten = undefined
    }
    // The weeks of an account end later than its last day.
    if (heads.dayOf(number) >= day - 8) continue
    if (accounts.bytesOf(number) === undefined) continue
    // A clock that was set wrong for a while has given its mail an old day.
    unwritten ??= accountsOf(archive)
    if (unwritten.has(number)) continue
    drop.run(number)
    accounts.remove(number)
    heads.set(number, 0, 0)
  }
}

/** Those of which something is still to be written: another account must not get their numbers. */
function accountsOf({ portions }: Archive): Set<number> {
  return new Set(portions.flatMap(({ accounts, count }) => [...accounts.subarray(0, count)]))
}
