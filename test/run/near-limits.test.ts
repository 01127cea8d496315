/** Which accounts status shows as near a limit. */

import t from 'tap'
import type { VerdictRecord } from '../../daemon/policy/verdict-record.ts'
import { NearLimits } from '../../daemon/run/near-limits.ts'
import { chain, makeWorld, NOON, plugin } from '../support/world.ts'

t.test('one entry per account, the newest first, for a day', async t => {
  const near = new NearLimits()
  const world = await makeWorld(
    chain(plugin('SendingLimit', 'threshold = 10\nwarn_at = 80%', 'day')),
    { sinks: [near.note] },
  )
  let instance = 0
  const send = (sasl_username: string, recipients: number): Promise<string | undefined> => {
    const recipient_count = String(recipients)
    const state = { protocol_state: 'END-OF-MESSAGE', instance: `${instance++}.1` }
    return world.ask({ ...state, sasl_username, recipient_count })
  }
  await send('Alice', 7)
  t.strictSame(near.list(NOON), [])
  await send('alice', 1)
  world.now += 1000
  await send('bob', 9)
  await send('alice', 1)
  const day = 86_400_000
  const alice = { account: 'alice', limits: 'day', used: 9, limit: 10, at: NOON }
  const bob = { account: 'bob', limits: 'day', used: 9, limit: 10, at: NOON + 1000 }
  t.strictSame(near.list(NOON), [bob, alice])
  t.strictSame(near.list(NOON + day), [bob])
  t.strictSame(near.list(NOON + day + 1000), [])
})

t.test('whoever fills it with accounts fills no memory', async t => {
  const near = new NearLimits()
  for (let i = 0; i < 1500; i++) {
    const record = {
      facts: { near: 'day', used: 8, limit: 10 },
      account: `user${i}`,
      at: NOON,
    }
    near.note(record as unknown as VerdictRecord) // what it reads of a record
  }
  const list = near.list(NOON)
  t.equal(list.length, 1000)
  t.equal(list[0]?.account, 'user1499')
})
