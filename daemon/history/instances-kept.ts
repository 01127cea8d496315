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
  const first = Math.max(0, touched.length - MOST_KEPT)
  const page = Buffer.alloc((touched.length - first) * ENTRY_BYTES)
  const view = new DataView(page.buffer, page.byteOffset)
  const isKept = new Uint8Array(instances.size)
  let at = 0
  for (let i = first; i < touched.length; i++) {
    const key = touched[i] ?? 0
    const place = instances.find(key)
    // Once, however often it was changed.
    if (isKept[place] === 1) continue
    isKept[place] = 1
    view.setFloat64(at, key, true)
    view.setFloat64(at + 8, instances.recipients[place] ?? 0, true)
    view.setFloat64(at + 16, instances.bytes[place] ?? 0, true)
    view.setUint32(at + 24, instances.accounts[place] ?? 0, true)
    view.setUint32(at + 28, instances.hours[place] ?? 0, true)
    view.setUint8(at + 32, instances.stages[place] ?? TAKEN_BACK)
    at += ENTRY_BYTES
  }
  return page.subarray(0, at)
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
