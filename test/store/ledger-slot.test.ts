/** What becomes of the counts when their file cannot be used. */

import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ledgerSlot } from '../../daemon/ledger-slot.ts'
import type { Judgement, LedgerEvent } from '../../daemon/policy/ledger.ts'

const now = Date.UTC(2026, 10, 20, 12)
const message = (instance: string, recipients: number): LedgerEvent => ({
  scope: 'limit',
  account: 'alice',
  stage: 'END-OF-MESSAGE',
  instance,
  connection: 1,
  service: '192.0.2.1:587',
  recipient: '',
  recipients,
  limit: 3,
  day: { name: '2026-11-20', endsAt: now + 1 },
  now,
})
type Slot = ReturnType<typeof ledgerSlot>
const judge = (slot: Slot, instance: string, recipients: number): Judgement =>
  slot.ledger.judge(message(instance, recipients)) as Judgement

t.test(
  'a damaged file is set aside under a name that tells when, and counting starts anew',
  async t => {
    const folder = t.testdir()
    const file = join(folder, 'ledger.sqlite')
    writeFileSync(file, 'no database at all, but long enough to be taken for one'.repeat(200))
    const slot = ledgerSlot()
    slot.open(file, 'normal', now)
    t.match(slot.problem, /were damaged: .*ledger\.sqlite\.damaged-2026-11-20T120000000Z$/)
    t.ok(readdirSync(folder).some(name => name.startsWith('ledger.sqlite.damaged-')))
    t.match(judge(slot, 'a', 3), { accepted: true })
    slot.ledger.settle()
    slot.close()
    const again = ledgerSlot()
    again.open(file, 'normal', now)
    t.equal(again.problem, undefined)
    t.equal(again.ledger.used('limit', 'alice', '2026-11-20'), 3)
    again.close()
  },
)

t.test('where nothing can be written the limit holds all the same, in memory', async t => {
  const folder = t.testdir({ state: 'a file where the directory should be' })
  const slot = ledgerSlot()
  slot.open(join(folder, 'state/ledger.sqlite'), 'normal', now)
  t.match(slot.problem, /^counts are in memory only: /)
  t.match(judge(slot, 'a', 3), { accepted: true })
  slot.ledger.settle()
  t.match(judge(slot, 'b', 1), { accepted: false, used: 3 })
  slot.close()
})

t.test('a file that another daemon has is refused', async t => {
  const file = join(t.testdir(), 'ledger.sqlite')
  const first = ledgerSlot()
  first.open(file, 'normal', now)
  t.throws(() => ledgerSlot().open(file, 'normal', now), /in use by another daemon/)
  first.close()
})

t.test('a question before the ledger is open fails the one who asks, not the daemon', async t => {
  const slot = ledgerSlot()
  t.throws(() => slot.ledger.judge(message('a', 1)), { name: 'LookupError' })
  t.doesNotThrow(() => slot.ledger.disconnect(1))
})
