/**
 * What the benchmark knows of the ledger's file: how to fill one, and how to add up what is in it.
 * Nothing else in bench/ knows the format; the file must not be in use by a daemon.
 */

import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import { calendarDays } from '../daemon/policy/window.ts'
import { openSqliteLedger } from '../daemon/store/sqlite-ledger.ts'

/** The counter of the default policy. */
const SCOPE = 'limit'
const DAY_MILLISECONDS = 86_400_000

/** The names of so many days, today the last. */
function daysUntilToday(count: number): string[] {
  const dayOf = calendarDays(undefined)
  const now = Date.now()
  return Array.from(
    { length: count },
    (_, i) => dayOf(now - (count - 1 - i) * DAY_MILLISECONDS).name,
  )
}

/** Gives so many users a sum of 1 on each of so many days; the days' names, today the last. */
export function fillLedger(path: string, days: number, users: number): string[] {
  const names = daysUntilToday(days)
  const [first, ...others] = names
  if (first === undefined) return []
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 })
  const store = openSqliteLedger(path, 'normal')
  store.absorb(
    Array.from({ length: users }, (_, user) => {
      return [SCOPE, first, `user${String(user).padStart(5, '0')}@mail.example.org`, 1] as const
    }),
  )
  store.close()
  // Through the store the other days would take a minute; these are copies of the first one's pages.
  const db = new Database(path)
  db.pragma('synchronous = OFF')
  const insertDay = db.prepare<[string, string]>('INSERT INTO period (day, scope) VALUES (?, ?)')
  const copyPages = ['sums', 'names'].map(table =>
    db.prepare<[number | bigint, string]>(
      `INSERT INTO ${table} SELECT ? * 256 + page % 256, ${table} FROM ${table}, period
       WHERE period.day = ? AND page BETWEEN period.id * 256 AND period.id * 256 + 255`,
    ),
  )
  for (const day of others) {
    const period = insertDay.run(day, SCOPE).lastInsertRowid
    for (const copy of copyPages) copy.run(period, first)
  }
  db.close()
  // Else the daemon's first flush would write all of this.
  const file = openSync(path, 'r+')
  fsyncSync(file)
  closeSync(file)
  return names
}

/** The sum of each day. */
export function sumOfLedger(path: string): Map<string, number> {
  const days = new Map<string, number>()
  const store = openSqliteLedger(path, 'normal')
  for (const [, day, , used] of store.sums()) days.set(day, (days.get(day) ?? 0) + used)
  store.close()
  return days
}
