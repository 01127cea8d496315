/** What goes wrong with the history's files: it has a gap, says so, and goes on; the caller never notices. */

import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { spoolFilesOf } from '../../daemon/history/spool-files.ts'
import { systemClock as clock } from '../../daemon/system/clock.ts'
import { fill, mountSmallDisk, smallDiskMissing } from '../support/small-disk.ts'
import { folder, openHistory, until, verdict } from './some-mail.ts'

/** A history with a message of alice's in its file. */
async function filled(t: Test): Promise<string> {
  const history = openHistory(t)
  history.note(verdict(clock, { user: 'alice' }))
  await history.hours(0, 0).next()
  await history.close()
  return history.path
}

for (const [what, spoil] of [
  ['no SQLite file any more', (path: string) => writeFileSync(path, Buffer.alloc(50_000, 'x'))],
  [
    'of a newer version',
    (path: string) => {
      const db = new Database(path)
      db.pragma('user_version = 99')
      db.close()
    },
  ],
  [
    'without one of its tables',
    (path: string) => {
      const db = new Database(path)
      db.exec('DROP TABLE seen')
      db.close()
    },
  ],
  [
    'with a page of nonsense',
    (path: string) => {
      const db = new Database(path)
      db.exec("UPDATE head SET page = x'ff'")
      db.close()
    },
  ],
] as const) {
  t.test(`a file that is ${what} is set aside, and what comes then is kept`, async t => {
    const path = await filled(t)
    spoil(path)
    const history = openHistory(t, { path })
    history.note(verdict(clock, { user: 'bob' }))
    await until(() => history.status().gaps.length > 0)
    t.match(history.status().gaps[0]?.why, /damaged/)
    t.equal((await history.account('bob'))?.messages.length, 1)
    await until(() => history.status().state === 'ok')
    t.equal(readdirSync(dirname(path)).filter(name => name.includes('.damaged-')).length, 1)
    // The gap is kept as well.
    await history.hours(0, 0).next()
    await history.close()
    const again = openHistory(t, { path })
    await again.account('bob')
    t.equal(again.status().gaps.length, 1)
  })
}

t.test('a page that is found damaged later is no end, either', async t => {
  const path = await filled(t)
  const history = openHistory(t, { path })
  await history.account('alice')
  const db = new Database(path)
  db.exec("UPDATE message SET page = x'ffffff'; UPDATE seen SET page = x'ffffff'")
  db.close()
  await t.rejects(history.account('alice'))
  history.note(verdict(clock, { user: 'bob' }))
  t.equal((await history.account('bob'))?.messages.length, 1)
  t.match(history.status().gaps[0]?.why, /damaged/)
})

t.test('what a kill has cut off is skipped, and the rest is read', async t => {
  const path = await filled(t)
  const history = openHistory(t, { path })
  history.note(verdict(clock, { user: 'bob' }))
  await history.close()
  const last = spoolFilesOf(path).at(-1)?.path ?? ''
  const bytes = readFileSync(last)
  appendFileSync(last, bytes.subarray(39, bytes.length - 20))
  const again = openHistory(t, { path })
  again.note(verdict(clock, { user: 'carol' }))
  t.equal((await again.account('bob'))?.messages.length, 1)
  t.equal((await again.account('carol'))?.messages.length, 1)
  t.strictSame(again.status().gaps, [])
})

t.test('a part of the spool that is overwritten is a gap', async t => {
  const path = await filled(t)
  const history = openHistory(t, { path })
  history.note(verdict(clock, { user: 'bob' }))
  await history.close()
  const last = spoolFilesOf(path).at(-1)?.path ?? ''
  const bytes = readFileSync(last)
  bytes[80] = 255 - (bytes[80] ?? 0)
  writeFileSync(last, bytes)
  const again = openHistory(t, { path })
  again.note(verdict(clock, { user: 'carol' }))
  t.equal((await again.account('carol'))?.messages.length, 1)
  t.equal(await again.account('bob'), undefined)
  await until(() => again.status().gaps.length > 0)
  t.match(again.status().gaps[0]?.why, /spool was damaged/)
})

t.test('a spool that was deleted while in use is begun again', async t => {
  const history = openHistory(t)
  history.note(verdict(clock, { user: 'alice' }))
  await history.account('alice')
  for (const { path } of spoolFilesOf(history.path)) rmSync(path)
  history.note(verdict(clock, { user: 'lost' }))
  await until(() => history.status().gaps.length > 0)
  history.note(verdict(clock, { user: 'bob' }))
  t.equal((await history.account('bob'))?.messages.length, 1)
  t.equal((await history.account('alice'))?.messages.length, 1)
})

t.test(
  'a file that is deleted or replaced while in use is begun again, and that is said',
  async t => {
    const history = openHistory(t)
    const { path } = history
    history.note(verdict(clock, { user: 'alice' }))
    // It is in the file, which has a write-ahead log.
    await history.hours(0, 0).next()
    rmSync(path)
    await until(() => history.status().gaps.length > 0)
    t.match(history.status().gaps[0]?.why, /deleted or replaced/)
    history.note(verdict(clock, { user: 'bob' }))
    await history.hours(0, 0).next()
    t.ok(await history.account('bob'))
    const other = await filled(t)
    renameSync(other, path)
    await until(() => history.status().gaps.length > 0)
    history.note(verdict(clock, { user: 'carol' }))
    await until(async () => (await history.account('carol')) !== undefined)
    await history.close()
    const again = openHistory(t, { path })
    t.ok(await again.account('carol'), 'it is in the file that has this name')
    t.ok(await again.account('alice'))
  },
)

t.test(
  'on a full disk mail is not noted; that is a gap',
  { skip: smallDiskMissing() ?? false },
  async t => {
    const state = folder(t)
    mountSmallDisk({ state, later: undo => t.teardown(undo) }, '2m')
    const history = openHistory(t, { path: join(state, 'history.sqlite') })
    history.note(verdict(clock, { user: 'alice' }))
    await history.account('alice')
    const empty = fill(state)
    for (let number = 0; number < 100; number++) history.note(verdict(clock, { user: 'lost' }))
    await until(() => history.status().gaps.length > 0)
    t.equal(history.status().state, 'failed')
    empty()
    // It is tried again after a second.
    await until(() => {
      history.note(verdict(clock, { user: 'bob' }))
      return history.status().problem === undefined
    })
    t.ok(await history.account('bob'))
    t.ok(await history.account('alice'))
    const [gap] = history.status().gaps
    t.ok((gap?.missing ?? 0) >= 1)
    t.match(gap?.why, /space/)
  },
)

t.test('in a folder that cannot be written nothing is noted', async t => {
  // Root may write everywhere.
  const isRoot = process.geteuid?.() === 0
  const state = join(folder(t), 'state')
  mkdirSync(state)
  chmodSync(state, 0o500)
  if (isRoot) process.seteuid?.(65_534)
  try {
    const history = openHistory(t, { path: join(state, 'history.sqlite') })
    history.note(verdict(clock, {}))
    await until(() => history.status().state === 'failed')
    await t.rejects(history.account('alice'))
    await history.close()
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
})

t.test('in place of a folder a file: nothing is noted, and nothing fails', async t => {
  const path = join(folder(t), 'state')
  writeFileSync(path, '')
  const history = openHistory(t, { path: join(path, 'history.sqlite') })
  history.note(verdict(clock, {}))
  await until(() => history.status().state === 'failed')
  await t.rejects(history.account('alice'))
  t.equal(history.status().gaps.at(-1)?.missing, 1)
})
