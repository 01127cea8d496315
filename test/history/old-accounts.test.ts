/** Accounts of which nothing is left are deleted; none of which something is still to be written. */

import { join } from 'node:path'
import t from 'tap'
import { Archive } from '../../daemon/history/archive.ts'
import { deleteOld } from '../../daemon/history/deletion.ts'
import { Spool } from '../../daemon/history/spool.ts'
import { virtualClock } from '../support/virtual-clock.ts'
import { folder, verdict } from './some-mail.ts'

const DAY = 86_400_000

t.test('mail of a clock that was set wrong is nobody else’s', async t => {
  const path = join(folder(t), 'history.sqlite')
  const clock = virtualClock()
  const spool = new Spool(path, clock)
  const archive = new Archive(path)
  const read = async (user: string): Promise<void> => {
    spool.note(verdict(clock, { user }))
    await archive.catchUp(spool.flush())
  }
  clock.jump(-400 * DAY)
  await read('alice')
  clock.jump(400 * DAY)
  await deleteOld(archive, clock.now(), 90)
  await read('bob')
  await archive.write()
  t.ok(archive.accounts.find('alice') >= 0)
  t.not(archive.accounts.find('alice'), archive.accounts.find('bob'))
  const names = archive.reader.prepare('SELECT CAST(name AS TEXT) FROM account').pluck().all()
  t.strictSame(names.toSorted(), ['alice', 'bob'])
  // Now it is written, and as old as it says.
  await deleteOld(archive, clock.now(), 90)
  t.equal(archive.accounts.find('alice'), -1)
  t.ok(archive.accounts.find('bob') >= 0)
  spool.close()
  archive.close()
})
