/**
 * What came from which country, of all accounts together: a row per hour and country. It names nobody, so
 * nothing is taken out of it when an account is deleted. A message that Postfix refuses in the end, after its
 * portion was written, stays in it.
 */

import type { CountrySums } from '../policy/ports/history.ts'
import type { SqliteDatabase } from '../system/sqlite.ts'
import type { Archive } from './archive.ts'
import { inReading, NOWHERE, type Portion } from './portion.ts'
import { countryOf } from './record-reader.ts'
import { hourOf } from './taking.ts'

/** Items of a step. */
const STEP_ITEMS = 5000

type Sums = { messages: number; recipients: number; refused: number }

/** By `HOUR COUNTRY`, of items below `count`. */
function* addItems(
  portion: Portion,
  count: number,
  isWanted: (hour: number) => boolean,
  add: (hour: number, country: string, sums: Sums) => void,
): Generator<void, void> {
  for (let item = 0; item < count; item++) {
    if (item % STEP_ITEMS === STEP_ITEMS - 1) yield
    const place = portion.places[item] ?? NOWHERE
    const hour = portion.hours[item] ?? 0
    if (place === NOWHERE || !isWanted(hour)) continue
    const country = countryOf(portion.readingOf(place), inReading(place))
    add(hour, country, {
      messages: portion.messages[item] ?? 0,
      recipients: portion.recipients[item] ?? 0,
      refused: portion.refused[item] ?? 0,
    })
  }
}

/** A part of the transaction that writes a portion. */
export function* writeCountries(db: SqliteDatabase, portion: Portion): Generator<void, void> {
  const hours = new Map<number, Map<string, Sums>>()
  yield* addItems(
    portion,
    portion.count,
    () => true,
    (hour, country, more) => {
      const sums = hours.get(hour) ?? new Map<string, Sums>()
      hours.set(hour, sums)
      addTo(sums, country, more)
    },
  )
  const add = db.prepare(
    `INSERT INTO country VALUES (?, ?, ?, ?, ?) ON CONFLICT (hour, country) DO UPDATE SET
     messages = messages + excluded.messages, recipients = recipients + excluded.recipients,
     refused = refused + excluded.refused`,
  )
  for (const [hour, countries] of hours) {
    for (const [country, { messages, recipients, refused }] of countries) {
      add.run(hour, country, messages, recipients, refused)
    }
    yield
  }
}

export async function countriesBetween(
  archive: Archive,
  since: number,
  until: number,
): Promise<readonly CountrySums[]> {
  const [first, last] = [hourOf(since), hourOf(until)]
  // At the same moment: what the reader sees is without these portions.
  const unwritten = archive.portions.map(portion => ({ portion, count: portion.count }))
  const rows = archive.reader
    .prepare<[number, number], CountrySums>(
      `SELECT country, sum(messages) AS messages, sum(recipients) AS recipients,
       sum(refused) AS refused FROM country WHERE hour >= ? AND hour <= ? GROUP BY country`,
    )
    .all(first, last)
  const sums = new Map<string, Sums>()
  for (const { country, ...more } of rows) addTo(sums, country, more)
  const steps = function* () {
    for (const { portion, count } of unwritten) {
      yield* addItems(
        portion,
        count,
        hour => hour >= first && hour <= last,
        (_, country, more) => addTo(sums, country, more),
      )
    }
  }
  await archive.inSteps(steps())
  return [...sums]
    .map(([country, one]) => ({ country, ...one }))
    .filter(({ messages, refused }) => messages + refused > 0)
    .toSorted(
      (a, b) => b.messages + b.refused - a.messages - a.refused || (a.country < b.country ? -1 : 1),
    )
}

function addTo(sums: Map<string, Sums>, country: string, more: Sums): void {
  const known = sums.get(country)
  if (!known) {
    sums.set(country, { ...more })
    return
  }
  known.messages += more.messages
  known.recipients += more.recipients
  known.refused += more.refused
}
