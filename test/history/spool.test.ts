/** The daemon's end of the history, alone: what it does where its files cannot be written, and after its end. */

import {
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { Spool } from '../../daemon/history/spool.ts'
import { spoolFilesOf } from '../../daemon/history/spool-files.ts'
import { systemClock as clock } from '../../daemon/system/clock.ts'
import { virtualClock } from '../support/virtual-clock.ts'
import { folder, openHistory, until, verdict } from './some-mail.ts'

/** A spool whose folder cannot be made, because there is a file in its place; and what makes room for it. */
function withoutFolder(t: Test) {
  const state = join(folder(t), 'state')
  writeFileSync(state, '')
  const time = virtualClock()
  const spool = new Spool(join(state, 'history.sqlite'), time)
  return { spool, time, path: join(state, 'history.sqlite'), makeRoom: () => unlinkSync(state) }
}

/** The gaps that a history finds in the spool. */
async function gapsIn(t: Test, path: string): Promise<number> {
  const history = openHistory(t, { path })
  await history.account('nobody')
  await until(() => history.status().gaps.length > 0)
  return history.status().gaps.reduce((sum, { missing }) => sum + missing, 0)
}

t.test('a gap is told, also where what comes after it fills its frames', async t => {
  const { spool, time, path, makeRoom } = withoutFolder(t)
  for (let number = 0; number < 3; number++) {
    spool.note(verdict(time, { action: 'reject lost', by: 'limit' }))
    spool.flush()
    await time.advance(2000)
  }
  makeRoom()
  // Each has almost as much as a record may have.
  const more = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`a${i}`, 'x'.repeat(4000)]))
  const action = 'reject long'
  for (let number = 0; number < 5; number++) spool.note(verdict(time, { action, by: 'x', more }))
  spool.close()
  t.equal(await gapsIn(t, path), 3)
})

t.test('a gap is told without further mail: at the next look, or at the end', async t => {
  for (const tell of ['look', 'close'] as const) {
    const { spool, time, path, makeRoom } = withoutFolder(t)
    spool.note(verdict(time, {}))
    spool.flush()
    t.ok(spool.problem)
    makeRoom()
    await time.advance(2000)
    spool[tell]()
    t.equal(spool.problem, undefined, tell)
    t.equal(spool.gap, undefined, tell)
    t.equal(await gapsIn(t, path), 1, tell)
    spool.close()
  }
})

t.test(
  'a folder in which nothing can be looked up is a gap, not the end of the daemon',
  async t => {
    const state = join(folder(t), 'state')
    const spool = new Spool(join(state, 'history.sqlite'), clock)
    spool.note(verdict(clock, {}))
    spool.flush()
    renameSync(state, `${state}-moved`)
    symlinkSync(state, state)
    t.doesNotThrow(() => spool.look())
    t.equal(spool.gap?.missing, 1)
    spool.close()
  },
)

t.test('after its end nothing is written any more, and no timer is left', async t => {
  const time = virtualClock()
  const path = join(folder(t), 'history.sqlite')
  const spool = new Spool(path, time)
  spool.note(verdict(time, {}))
  spool.flush()
  spool.note(verdict(time, {}))
  t.equal(time.pending, 1)
  spool.close()
  t.equal(time.pending, 0)
  // Of a history that was begun meanwhile, and is written.
  const next = new Spool(path, time)
  next.note(verdict(time, { user: 'alice' }))
  next.flush()
  spool.explained('AAA-AAA', [])
  spool.note(verdict(time, { action: 'reject late' }))
  spool.flush()
  next.close()
  t.equal(time.pending, 0)
  t.strictSame(
    spoolFilesOf(path).map(({ number }) => number),
    [1, 2],
  )
})

t.test('a name that something else has is passed over', async t => {
  const path = join(folder(t), 'history.sqlite')
  mkdirSync(join(dirname(path), 'history.spool-1'))
  const time = virtualClock()
  const spool = new Spool(path, time)
  spool.note(verdict(time, {}))
  spool.flush()
  t.match(spool.problem, /EEXIST|exists/)
  await time.advance(2000)
  spool.note(verdict(time, {}))
  spool.flush()
  t.equal(spool.problem, undefined)
  spool.close()
})

t.test('a history whose spool was deleted while it was closed reads the next one', async t => {
  const history = openHistory(t)
  const { path } = history
  for (let file = 0; file < 3; file++) {
    history.note(verdict(clock, { user: 'alice' }))
    // Begins a file of its own.
    await history.forget('nobody')
    await history.hours(0, 0).next()
  }
  await history.close()
  for (const file of spoolFilesOf(path)) rmSync(file.path)
  const again = openHistory(t, { path })
  again.note(verdict(clock, { user: 'bob' }))
  t.ok(await again.account('bob'))
  t.equal((await again.account('alice'))?.messages.length, 3)
  await again.hours(0, 0).next()
  await again.close()
  const third = openHistory(t, { path })
  t.equal((await third.account('bob'))?.messages.length, 1)
  t.strictSame(
    readdirSync(dirname(path)).filter(name => name.includes('damaged')),
    [],
  )
})
