/**
 * Pages of `seen` whose week is over are deflated: names of clients are much alike. A packed page begins with two
 * bytes that no other page begins with.
 */

import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { SqliteDatabase } from '../system/sqlite.ts'
import { WEEK, weekKey } from './seen-page.ts'

/** As a distance between two accounts it would be more than a page has. */
const PACKED = Buffer.from([0xff, 0xff])
/** Bytes of a page when unpacked, far more than there can be: 256 accounts with 100 entries each. */
const LARGEST_PAGE_BYTES = 16 * 1024 * 1024
const STEP_PAGES = 10

/** The page as it was written. Throws RangeError if it is damaged. */
export function unpacked(page: Buffer): Buffer {
  if (!page.subarray(0, PACKED.length).equals(PACKED)) return page
  try {
    return inflateRawSync(page.subarray(PACKED.length), { maxOutputLength: LARGEST_PAGE_BYTES })
  } catch (error) {
    throw new RangeError('a packed page is damaged', { cause: error })
  }
}

/** Packs the weeks that are over; `now`: milliseconds since 1970. */
export function* packSteps(db: SqliteDatabase, now: number): Generator<void, void> {
  const select = db.prepare<[number, Buffer, number], { key: number; page: Buffer }>(
    'SELECT key, page FROM seen WHERE key < ? AND substr(page, 1, 2) <> ? LIMIT ?',
  )
  const put = db.prepare<[Buffer, number]>('UPDATE seen SET page = ? WHERE key = ?')
  // A day later: then the clock will hardly be set back into it.
  const end = weekKey(Math.floor((now - WEEK / 7) / WEEK), 0)
  for (;;) {
    const rows = select.all(end, PACKED, STEP_PAGES)
    if (rows.length === 0) return
    db.transaction(() => {
      for (const { key, page } of rows) put.run(Buffer.concat([PACKED, deflateRawSync(page)]), key)
    })()
    yield
  }
}
