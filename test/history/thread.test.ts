/** The history's thread, should it end by itself; and a spool that is not taken. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { RunningThread } from '../../daemon/history/running-thread.ts'
import { Spool } from '../../daemon/history/spool.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { virtualClock } from '../support/virtual-clock.ts'
import { folder, until, verdict } from './some-mail.ts'

t.test('a thread that ends is started again, each time after a longer rest', async t => {
  const program = join(folder(t), 'broken.mjs')
  writeFileSync(program, 'throw new Error("out of order")')
  const clock = virtualClock()
  let ended = 0
  const thread = new RunningThread({
    path: '/nowhere',
    program,
    clock,
    taken: () => undefined,
    ended: () => {
      ended++
    },
  })
  const asked = thread.ask('account', { name: 'alice' }, { file: 0, offset: 0 })
  await t.rejects(asked, /out of order/)
  t.match(thread.problem, /out of order/)
  await t.rejects(thread.ask('account', { name: 'alice' }, { file: 0, offset: 0 }), /out of order/)
  t.equal(ended, 1)
  await clock.advance(1000)
  await until(() => ended === 2)
  await clock.advance(1999)
  t.equal(clock.pending, 1)
  await clock.advance(1)
  await until(() => ended === 3)
  await thread.close()
  t.equal(clock.pending, 0)
})

t.test('what nobody takes is not noted any more; refusals for a little longer', async t => {
  const spool = new Spool(join(folder(t), 'history.sqlite'), systemClock)
  const large = verdict(systemClock, { action: `PREPEND X: ${'y'.repeat(4000)}` })
  const refusal = verdict(systemClock, { action: `reject ${'y'.repeat(4000)}`, code: 'AAA' })
  const noteUntil = (record: typeof large): void => {
    const before = spool.gap?.missing ?? 0
    for (let number = 0; number < 30_000; number++) {
      spool.note(record)
      if ((spool.gap?.missing ?? 0) > before) return
    }
  }
  noteUntil(large)
  const place = spool.flush()
  t.match(spool.gap, { missing: 1, why: 'the history did not keep up' })
  spool.note(refusal)
  t.ok(spool.flush().offset > place.offset || spool.flush().file > place.file, 'it is noted')
  noteUntil(refusal)
  t.equal(spool.gap?.missing, 1, 'the other gap was written with the refusal')
  t.equal(spool.problem, undefined)
  spool.taken(spool.flush())
  spool.note(large)
  spool.flush()
  t.equal(spool.gap, undefined, 'it is in the spool itself')
  spool.close()
})
