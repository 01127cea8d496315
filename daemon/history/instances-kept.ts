/**
 * The messages of the last portions as they are counted, kept in the file: one that Postfix asks about again after a
 * restart is not counted again. For each its key, what was counted (floats), account, hour (32 bits) and stage (a
 * byte); stage 255: it was taken back.
 */

import type { SqliteDatabase } from '../system/sqlite.ts'
import type { Instances } from './instances.ts'
import type { Portion } from './portion.ts'
import { remember } from './taking.ts'

/** The newest ones of a portion: Postfix asks again within seconds, or not at all. */
const MOST_KEPT = 50_000
/** Portions that they are kept of. */
const PORTIONS = 3
const ENTRY_BYTES = 33
const TAKEN_BACK = 255

/** Those of a portion as they are now, when nothing was added to it any more. */
export function keptInstances({ touched }: Portion, instances: Instances): Buffer {
  const keys = [...new Set(touched.slice(-MOST_KEPT))]
  const page = Buffer.alloc(keys.length * ENTRY_BYTES)
  for (const [i, key] of keys.entries()) {
    const at = i * ENTRY_BYTES
    const place = instances.find(key)
    page.writeDoubleLE(key, at)
    page.writeDoubleLE(instances.recipients[place] ?? 0, at + 8)
    page.writeDoubleLE(instances.bytes[place] ?? 0, at + 16)
    page.writeUInt32LE(instances.accounts[place] ?? 0, at + 24)
    page.writeUInt32LE(instances.hours[place] ?? 0, at + 28)
    page.writeUInt8(instances.stages[place] ?? TAKEN_BACK, at + 32)
  }
  return page
}

export function writeInstances(db: SqliteDatabase, portion: number, page: Buffer): void {
  db.prepare('INSERT INTO instance VALUES (?, ?)').run(portion, page)
  db.prepare('DELETE FROM instance WHERE portion <= ?').run(portion - PORTIONS)
}

/** Throws RangeError if a page is damaged. */
export function restoreInstances(db: SqliteDatabase, instances: Instances): void {
  const pages = db.prepare<[], Buffer>('SELECT page FROM instance ORDER BY portion').pluck()
  for (const page of pages.all()) {
    for (let at = 0; at < page.length; at += ENTRY_BYTES) {
      const key = page.readDoubleLE(at)
      const known = instances.find(key)
      if (known >= 0) instances.remove(known)
      const stage = page.readUInt8(at + 32)
      if (stage === TAKEN_BACK) continue
      const [recipients, bytes] = [page.readDoubleLE(at + 8), page.readDoubleLE(at + 16)]
      const [account, hour] = [page.readUInt32LE(at + 24), page.readUInt32LE(at + 28)]
      remember(instances, key, account, hour, recipients, bytes, stage, 0, 0)
    }
  }
}
