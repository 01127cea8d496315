/** The names of the history's accounts, which a server that accepts every name must not make grow without end. */

import t from 'tap'
import { Accounts, MOST_ACCOUNTS } from '../../daemon/history/accounts.ts'

t.test('long names fill no memory: there are fewer of them', t => {
  const accounts = new Accounts(1)
  // A name has 320 characters at most, of up to four bytes.
  const name = Buffer.alloc(1280, '\u{1d504}')
  let added = 0
  for (let more = true; more && added < MOST_ACCOUNTS; ) {
    name.writeUInt32LE(added, 0)
    more = accounts.add(name, 0, name.length) >= 0
    if (more) added++
  }
  t.ok(added < MOST_ACCOUNTS / 4, String(added))
  t.equal(accounts.count, added)
  // Those that are known are known still.
  name.writeUInt32LE(7, 0)
  t.equal(accounts.numberOf(name, 0, name.length), 7)
  t.end()
})
