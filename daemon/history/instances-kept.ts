/**
 * After a start: the messages that were written last, so that one which is asked about again is not counted
 * again. Those of the last portions are enough: Postfix asks again within seconds, or not at all.
 */

import type { SqliteDatabase } from '../system/sqlite.ts'
import type { Accounts } from './accounts.ts'
import type { Instances } from './instances.ts'
import { groupIn, MESSAGE_ACCOUNTS, messagesIn, portionKey } from './message-page.ts'
import { instanceOf } from './record-reader.ts'
import { AT, BYTES, FLAGS, IS_DUNNO, RECIPIENTS, STAGE_BITS } from './spool-format.ts'
import { hourOf, remember } from './taking.ts'

const PORTIONS = 3
const PAGES = 1000

export function restoreInstances(
  db: SqliteDatabase,
  last: number,
  accounts: Accounts,
  instances: Instances,
): void {
  const pages = db.prepare<[number, number], { key: number; page: Buffer }>(
    'SELECT key, page FROM message WHERE key >= ? ORDER BY key DESC LIMIT ?',
  )
  const rows = pages.all(portionKey(Math.max(0, last - PORTIONS + 1), 0), PAGES)
  for (const { key, page } of rows.toReversed()) {
    const first = (key - portionKey(Math.floor(key / portionKey(1, 0)), 0)) * MESSAGE_ACCOUNTS
    for (let account = first; account < first + MESSAGE_ACCOUNTS; account++) {
      if (accounts.bytesOf(account) === undefined) continue
      const messages = groupIn(page, account)?.messages
      if (messages) restoreGroup(messages, account, instances)
    }
  }
}

function restoreGroup(messages: Buffer, account: number, instances: Instances): void {
  for (const message of messagesIn(messages)) {
    const flags = messages[message + FLAGS] ?? 0
    // A refusal is never `dunno`; what else was accepted with another action is rare.
    if ((flags & IS_DUNNO) === 0) continue
    const { from, end } = instanceOf(messages, message)
    const key = instances.keyOf(messages, from, end, account)
    if (key === 0 || instances.find(key) >= 0) continue
    const hour = hourOf(messages.readDoubleLE(message + AT))
    const recipients = messages.readUInt32LE(message + RECIPIENTS)
    const bytes = messages.readDoubleLE(message + BYTES)
    remember(instances, key, account, hour, recipients, bytes, flags & STAGE_BITS, 0, 0)
  }
}
