/** A portion that was written is in the file itself, not only in the write-ahead log beside it. */

import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { Archive } from '../../daemon/history/archive.ts'
import { Spool } from '../../daemon/history/spool.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { folder, verdict } from './some-mail.ts'

t.test('the file alone has what was written, while the daemon goes on', async t => {
  const place = folder(t)
  const path = join(place, 'history.sqlite')
  const spool = new Spool(path, systemClock)
  const archive = new Archive(path)
  t.teardown(() => {
    archive.close()
    spool.close()
  })
  for (const user of ['alice', 'bob', 'alice']) spool.note(verdict(systemClock, { user }))
  await archive.catchUp(spool.flush())
  t.equal(await archive.write(), true)
  t.equal(archive.problem, undefined)
  const copy = join(place, 'copy.sqlite')
  copyFileSync(path, copy)
  const db = new Database(copy, { readonly: true })
  t.teardown(() => db.close())
  const names = db.prepare('SELECT name FROM account ORDER BY number').pluck().all()
  t.strictSame(names.map(String), ['alice', 'bob'])
})
