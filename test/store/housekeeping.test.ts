/** What is done for the ledger now and then. */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startHousekeeping } from '../../daemon/housekeeping.ts'
import { ledgerSlot } from '../../daemon/ledger-slot.ts'
import type { Log } from '../../daemon/policy/log.ts'
import { openSqliteLedger } from '../../daemon/store/sqlite-ledger.ts'

const DAY = 86_400_000
const now = Date.UTC(2026, 10, 20, 12)

/** Counts for alice on a day, keeps house once, `ahead` milliseconds later by the wall clock; what is left. */
async function countAfterHousekeeping(
  file: string,
  { ahead, passed }: { readonly ahead: number; readonly passed: number },
): Promise<number> {
  const messages: string[] = []
  const say = (message: string): void => void messages.push(message)
  const log: Log = {
    debug: 1,
    error: say,
    warning: say,
    notice: say,
    verdict() {},
    connection() {},
    trace() {},
  }
  const time = { now, elapsed: 0 }
  const clock = { now: () => time.now, elapsed: () => time.elapsed }
  const slot = ledgerSlot()
  slot.open(file, 'normal', now)
  const housekeeping = startHousekeeping({ slot, clock, log: () => log, timezone: () => 'UTC' })
  slot.ledger.judge({
    scope: 'limit',
    account: 'alice',
    stage: 'END-OF-MESSAGE',
    instance: 'a',
    connection: 1,
    service: '192.0.2.1:587',
    recipient: '',
    recipients: 3,
    limit: 10,
    day: { name: '2026-11-20', endsAt: now + DAY },
    now,
  })
  slot.ledger.settle()
  // At first the backup, then the rest.
  for (const share of [0.5, 1]) {
    time.now = now + ahead
    time.elapsed = passed * share
    await sleep(3000)
  }
  await housekeeping.stop()
  slot.close()
  if (messages.length > 0) throw new Error(messages.join('\n'))
  const store = openSqliteLedger(file, 'normal')
  const used = store.used('limit', 'alice', '2026-11-20')
  store.close()
  return used
}

t.test('days are forgotten when they are old', async t => {
  const time = { ahead: 92 * DAY, passed: 92 * DAY }
  t.equal(await countAfterHousekeeping(join(t.testdir(), 'ledger.sqlite'), time), 0)
})

t.test('days of today are not forgotten because the clock jumps ahead by months', async t => {
  const time = { ahead: 120 * DAY, passed: 10 * 60_000 }
  t.equal(await countAfterHousekeeping(join(t.testdir(), 'ledger.sqlite'), time), 3)
})
