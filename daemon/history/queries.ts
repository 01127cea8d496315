/**
 * The queries that the history answers, as they go to its thread, and the answers out of the archive: of the file and
 * of what is not in it yet.
 */

import { accountName } from '../policy/account.ts'
import type {
  AccountHistory,
  CountrySums,
  Deleted,
  HourlySums,
  HourSums,
  Refusal,
  RefusalKey,
  RefusalPage,
  RefusalQuery,
  SeenMessage,
  SenderSums,
  TopQuery,
} from '../policy/ports/history.ts'
import type { Archive } from './archive.ts'
import { countriesBetween } from './country-sums.ts'
import { deleteAccount } from './deletion.ts'
import { addSight, copyMessage } from './fold.ts'
import { firstOfHourPage, HOUR, hourKey, hourOfKey, readHourPage } from './hour-page.ts'
import { groupIn, MOST_MESSAGES, messagesIn, portionKey } from './message-page.ts'
import { unpacked } from './packing.ts'
import { PageWriter } from './page-writer.ts'
import { type NewRefusal, NOWHERE } from './portion.ts'
import { largest, RECENT_HOURS, type Recent } from './recent.ts'
import { readMessage, readRefusal } from './record-reader.ts'
import { refusalPage } from './refusal-page.ts'
import { readSights, WEEK, weekKey } from './seen-page.ts'
import { seriesOf } from './series.ts'
import { Sights } from './sights.ts'
import { hourOf } from './taking.ts'

/** Refusals of an answer; there are more in the file. */
const MOST_REFUSALS = 100
const MOST_SENDERS = 1000
const MOST_NAMES = 1000
/** Refusals whose codes are looked through for the shell. */
const MOST_RECENT_CODES = 1000
/** Pages of a portion of `hours`. */
const HOURS_PAGES = 1

export interface Questions {
  top: { readonly query: TopQuery }
  account: { readonly name: string }
  refusals: { readonly key: RefusalKey }
  accounts: { readonly prefix: string; readonly most: number }
  recentCodes: { readonly prefix: string; readonly most: number }
  /** `after`: the key of the page before; undefined: the first portion. */
  hours: { readonly since: number; readonly until: number; readonly after: number | undefined }
  series: {
    readonly since: number
    readonly until: number
    readonly accounts: readonly string[] | undefined
  }
  countries: { readonly since: number; readonly until: number }
  refusalPage: { readonly query: RefusalQuery }
  forget: { readonly name: string }
}

export interface Answers {
  top: readonly SenderSums[]
  account: AccountHistory | undefined
  refusals: readonly Refusal[]
  accounts: readonly string[]
  recentCodes: readonly string[]
  hours: { readonly sums: readonly HourSums[]; readonly after: number | undefined }
  series: HourlySums
  countries: readonly CountrySums[]
  refusalPage: RefusalPage
  forget: Deleted | undefined
}

export type QuestionName = keyof Questions

export const answers: {
  readonly [Name in QuestionName]: (
    archive: Archive,
    question: Questions[Name],
  ) => Answers[Name] | Promise<Answers[Name]>
} = {
  top: (archive, { query }) => top(archive, query),
  account: (archive, { name }) => account(archive, name),
  refusals: (archive, { key }) => refusals(archive, key),
  accounts: (archive, { prefix, most }) => accounts(archive, prefix, most),
  recentCodes: (archive, { prefix, most }) => recentCodes(archive, prefix, most),
  hours: (archive, { since, until, after }) => hours(archive, since, until, after),
  series: (archive, { since, until, accounts }) => seriesOf(archive, since, until, accounts),
  countries: (archive, { since, until }) => countriesBetween(archive, since, until),
  refusalPage: (archive, { query }) => refusalPage(archive, query),
  forget: (archive, { name }) => {
    const number = archive.accounts.find(accountName(name, ''))
    return number < 0 ? undefined : deleteAccount(archive, number)
  },
}

async function top(
  archive: Archive,
  { since, until, by, most }: TopQuery,
): Promise<readonly SenderSums[]> {
  const first = hourOf(since)
  const hourCount = Math.max(1, hourOf(until) - first + 1)
  const known = [...archive.recents].find(
    // The hours after `until` have not come yet.
    one => one.isWhole && one.first === first && one.hours >= hourCount,
  )
  const sums = known ?? (await archive.sumsOf(first, hourCount))
  if (!known) archive.recents.delete(sums)
  const numbers = sums.largest(by, Math.min(most, MOST_SENDERS), archive.accounts.end)
  const seen = sightsOf(archive, numbers, first * HOUR)
  return numbers.map(number => {
    const sights = seen.get(number) ?? new Sights()
    const within = (kind: 'country' | 'network') =>
      sights.of(kind).filter(one => one.last >= first * HOUR && one.first <= until)
    const countries = within('country').toSorted((a, b) => b.messages - a.messages)
    return {
      account: archive.accounts.nameOf(number),
      ...sums.of(number),
      countries: countries.map(({ name }) => name),
      networks: within('network').length,
    }
  })
}

/** Where these accounts were seen since that time, to the week. */
function sightsOf(
  archive: Archive,
  numbers: readonly number[],
  since: number,
): Map<number, Sights> {
  const found = new Map(numbers.map(number => [number, new Sights()]))
  const select = archive.reader
    .prepare<[number], Buffer>('SELECT page FROM seen WHERE key = ?')
    .pluck()
  for (const week of weeksSince(archive, since)) {
    for (const [number, sights] of found) {
      const page = select.get(weekKey(week, number))
      if (!page) continue
      readSights(unpacked(page), number, week * WEEK, sights)
    }
  }
  for (const portion of archive.portions) {
    for (let item = 0; item < portion.count; item++) {
      if (portion.places[item] === NOWHERE) continue
      const sights = found.get(portion.accounts[item] ?? -1)
      if (sights) addSight(portion, item, sights)
    }
  }
  for (const sights of found.values()) sights.keepMost()
  return found
}

/** That are kept, oldest first. */
function weeksSince({ reader }: Archive, since: number): number[] {
  const from = Math.floor(since / WEEK)
  const next = reader.prepare<[number]>('SELECT min(key) FROM seen WHERE key >= ?').pluck()
  const weeks: number[] = []
  for (let week = from; ; week++) {
    const key = next.get(weekKey(week, 0))
    if (typeof key !== 'number') return weeks
    week = Math.floor(key / weekKey(1, 0))
    weeks.push(week)
  }
}

function account(archive: Archive, name: string): AccountHistory | undefined {
  const number = archive.accounts.find(accountName(name, ''))
  if (number < 0) return undefined
  const sights = sightsOf(archive, [number], 0).get(number) ?? new Sights()
  return {
    account: archive.accounts.nameOf(number),
    countries: sights.of('country'),
    networks: sights.of('network'),
    clients: sights.of('client'),
    messages: lastMessages(archive, number),
    refusals: refusalsWhere(archive, 'account = ?', number, one => one.account === number),
  }
}

/** The last one first. */
function lastMessages(archive: Archive, number: number): SeenMessage[] {
  const found: SeenMessage[] = []
  const writer = new PageWriter()
  for (const portion of archive.portions.toReversed()) {
    for (let item = portion.count - 1; item >= 0 && found.length < MOST_MESSAGES; item--) {
      if (portion.accounts[item] !== number || portion.places[item] === NOWHERE) continue
      writer.clear()
      copyMessage(portion, item, writer)
      const copy = writer.page()
      found.push(readMessage(copy, messagesIn(copy)[0] ?? 0))
    }
  }
  const select = archive.reader
    .prepare<[number], Buffer>('SELECT page FROM message WHERE key = ?')
    .pluck()
  let portion = archive.heads.portionOf(number)
  while (portion > 0 && found.length < MOST_MESSAGES) {
    const page = select.get(portionKey(portion, number))
    const group = page && groupIn(page, number)
    // What is older was deleted.
    if (!group) break
    for (const at of messagesIn(group.messages).toReversed()) {
      if (found.length < MOST_MESSAGES) found.push(readMessage(group.messages, at))
    }
    portion = group.before < portion ? group.before : 0
  }
  return found
}

function refusals(archive: Archive, key: RefusalKey): Refusal[] {
  if ('code' in key) return refusalsWhere(archive, 'code = ?', key.code, is('code', key.code))
  if ('queueId' in key) {
    if (key.queueId === '') return []
    const where = "queue = ? AND queue <> ''"
    return refusalsWhere(archive, where, key.queueId, is('queueId', key.queueId))
  }
  if (key.instance === '') return []
  const where = "instance = ? AND instance <> ''"
  return refusalsWhere(archive, where, key.instance, is('instance', key.instance))
}

const is =
  (name: 'code' | 'queueId' | 'instance', value: string) =>
  (one: NewRefusal): boolean =>
    one[name] === value

interface Row {
  readonly record: Buffer
  readonly steps: Buffer | null
  readonly code: string
}

function refusalsWhere(
  { reader, portions }: Archive,
  where: string,
  value: string | number,
  isWanted: (one: NewRefusal) => boolean,
): Refusal[] {
  const fresh = portions.flatMap(({ refusals }) => refusals.filter(isWanted)).reverse()
  const select = reader.prepare<[string | number, number], Row>(
    `SELECT record, steps, code FROM refusal WHERE ${where} ORDER BY number DESC LIMIT ?`,
  )
  const kept = select.all(value, MOST_REFUSALS)
  const later = new Map(portions.flatMap(({ steps }) => [...steps]))
  return [
    ...fresh.map(({ record, steps }) => readRefusal(record, steps)),
    ...kept.map(({ record, steps, code }) => readRefusal(record, steps ?? later.get(code))),
  ].slice(0, MOST_REFUSALS)
}

function accounts({ accounts, recents }: Archive, prefix: string, most: number): string[] {
  const start = Buffer.from(accountName(prefix, ''))
  const recent: Recent | undefined = [...recents].find(one => one.isWhole)
  const rank = (number: number): number => {
    const name = accounts.bytesOf(number)
    if (!name || name.length === 0 || name.length < start.length) return 0
    for (let i = 0; i < start.length; i++) if (name[i] !== start[i]) return 0
    return 1 + (recent?.messagesOf(number) ?? 0)
  }
  return largest(accounts.end, Math.min(most, MOST_NAMES), rank).map(one => accounts.nameOf(one))
}

function recentCodes({ reader, portions }: Archive, prefix: string, most: number): string[] {
  const select = reader
    .prepare<[number], string>('SELECT code FROM refusal ORDER BY number DESC LIMIT ?')
    .pluck()
  const fresh = portions.flatMap(({ refusals }) => refusals.map(({ code }) => code)).reverse()
  const found = new Set([...fresh, ...select.all(MOST_RECENT_CODES)])
  const matching = [...found].filter(code => code.startsWith(prefix))
  return matching.slice(0, Math.min(most, MOST_NAMES))
}

async function hours(
  archive: Archive,
  since: number,
  until: number,
  after: number | undefined,
): Promise<Answers['hours']> {
  // Then all of it is in the file.
  if (after === undefined && !(await archive.write())) {
    throw new Error(`cannot write the history (${archive.problem})`)
  }
  const select = archive.reader.prepare<[number, number, number], { key: number; page: Buffer }>(
    'SELECT key, page FROM hour WHERE key >= ? AND key < ? ORDER BY key LIMIT ?',
  )
  const from = after === undefined ? hourKey(hourOf(since), 0) : after + 1
  const rows = select.all(from, hourKey(hourOf(until) + 1, 0), HOURS_PAGES)
  const sums: HourSums[] = []
  for (const { key, page } of rows) {
    const hour = hourOfKey(key) * HOUR
    readHourPage(page, firstOfHourPage(key), (number, messages, recipients, refused) => {
      sums.push({ account: archive.accounts.nameOf(number), hour, messages, recipients, refused })
    })
  }
  return { sums, after: rows.at(-1)?.key }
}

/** Keeps the sums of the last day, for `top`. `now`: milliseconds since 1970. */
export async function keepRecent(archive: Archive, now: number): Promise<void> {
  const first = hourOf(now) - RECENT_HOURS + 1
  const before = [...archive.recents].filter(one => one.hours === RECENT_HOURS && one.isWhole)
  if (before.some(one => one.first === first)) return
  await archive.sumsOf(first, RECENT_HOURS)
  for (const one of before) archive.recents.delete(one)
}
