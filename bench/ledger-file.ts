/**
 * What the benchmark knows about the ledger's file: how to fill one, and how to add up what is in
 * it. Nothing else in bench/ knows the format; the file must not be in use by a daemon.
 */

import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { BUCKETS, bucketAt, type CountingPeriod } from '../daemon/ledger/period.ts'
import { openSqliteLedger, type Sum } from '../daemon/ledger/sqlite-ledger.ts'
import { calendar } from '../daemon/policy/calendar.ts'

/** The counter of the default policy. */
export const DEFAULT_COUNTER = 'limit'
/** Rolling windows of the host variables, by their counters. */
const ROLLING = { rolling: 24 * 3_600_000, hour: 3_600_000, minute: 60_000 } as const
const DAY_MILLISECONDS = 86_400_000

export interface Stored {
  /** Today and days before it. */
  readonly days: number
  /** Each has a sum of 1 on each of the days. */
  readonly users: number
  /** And one in each rolling window, somewhere in it. */
  readonly isRolling?: true
}

/** The names of the given number of days, today last. */
function daysUntilToday(count: number): string[] {
  const dayOf = calendar(undefined)
  const now = Date.now()
  return Array.from(
    { length: count },
    (_, i) => dayOf(now - (count - 1 - i) * DAY_MILLISECONDS).name,
  )
}

/** Returns the days' names, today last. */
export function fillLedger(path: string, { days, users, isRolling }: Stored): string[] {
  const names = daysUntilToday(days)
  const [first, ...others] = names
  if (first === undefined) return []
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 })
  const store = openSqliteLedger(path, 'normal')
  store.absorb(sums(store.periods.named(DEFAULT_COUNTER, first), users, () => 0))
  for (const [counter, milliseconds] of Object.entries(isRolling ? ROLLING : {})) {
    const period = store.periods.of(counter, { milliseconds })
    const last = bucketAt(period, Date.now())
    store.absorb(sums(period, users, user => last - (user % BUCKETS)))
  }
  store.close()
  copyDays(path, first, others)
  // Otherwise the daemon's first flush would write all of this.
  const file = openSync(path, 'r+')
  fsyncSync(file)
  closeSync(file)
  return names
}

function* sums(
  period: CountingPeriod,
  users: number,
  bucketOf: (user: number) => number,
): Iterable<Sum> {
  for (let user = 0; user < users; user++) {
    yield [period, `user${String(user).padStart(5, '0')}@mail.example.org`, bucketOf(user), 1]
  }
}

/** Through the store the other days would take a minute; these are copies of the first one's pages. */
function copyDays(path: string, first: string, others: readonly string[]): void {
  const db = new Database(path)
  db.pragma('synchronous = OFF')
  const insertDay = db.prepare<[string, string, string]>(
    'INSERT INTO period (name, counter, written) VALUES (?, ?, ?)',
  )
  const copyPages = ['sums', 'names'].map(table =>
    db.prepare<[number | bigint, string, string]>(
      `INSERT INTO ${table} SELECT ? * 256 + page % 256, ${table} FROM ${table}, period
       WHERE period.name = ? AND period.counter = ?
       AND page BETWEEN period.id * 256 AND period.id * 256 + 255`,
    ),
  )
  for (const day of others) {
    const period = insertDay.run(day, DEFAULT_COUNTER, day).lastInsertRowid
    for (const copy of copyPages) copy.run(period, first, DEFAULT_COUNTER)
  }
  // What the store has filled was written today.
  db.prepare<[string]>('UPDATE period SET written = name WHERE name = ?').run(first)
  db.close()
}

/** A counter's day, or all that its rolling window has. */
export interface PeriodSum {
  readonly counter: string
  /** `2026-11-20`, or `~60000` for a rolling window. */
  readonly period: string
  readonly sum: number
}

export function sumsOfLedger(path: string): readonly PeriodSum[] {
  const all = new Map<CountingPeriod, number>()
  const store = openSqliteLedger(path, 'normal')
  for (const [period, , , used] of store.sums()) all.set(period, (all.get(period) ?? 0) + used)
  store.close()
  return [...all].map(([{ counter, name }, sum]) => ({ counter, period: name, sum }))
}
