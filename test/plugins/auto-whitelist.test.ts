/** Greylist's whitelist in each SQL database: one table, counted right also when all count at once. */

import t from 'tap'
import { sqlWhitelist } from '../../daemon/plugins/parts/auto-whitelist.ts'
import { sqlConnection } from '../../daemon/remote/dsn.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { SQL_DATABASES, sqlMissing, startSqlDatabase } from '../support/sql-databases.ts'
import { NOON } from '../support/world.ts'

const DAY_MS = 86_400_000

for (const name of SQL_DATABASES) {
  t.test(`the whitelist in ${name}`, { skip: sqlMissing(name) }, async t => {
    const source = await startSqlDatabase(t, name)
    const daemons = [sqlConnection(source), sqlConnection(source)]
    t.teardown(() => daemons.map(db => db.close()))
    const clock = { ...systemClock, now: () => now, elapsed: () => 0 }
    let now = NOON
    const options = { expireDays: 60, mysqlEngine: 'InnoDB', clock }
    const lists = daemons.map(db => sqlWhitelist(db, 'autowl', options))
    const [one, other] = lists
    if (!one || !other) return

    const pair = { domain: 'example.net', address: '2001:db8::5' }
    t.equal(await one.count(pair), 0, 'the table is made when it is first needed')
    await Promise.all(Array.from({ length: 20 }, (_, i) => lists[i % 2]?.add(pair)))
    t.equal(await other.count(pair), 20)
    const odd = { domain: "o'neill?.example\\", address: '192.0.2.5' }
    await one.add(odd)
    t.equal(await one.count(odd), 1)
    t.equal(await one.count({ ...odd, address: '192.0.2.6' }), 0)

    now += 60 * DAY_MS
    t.equal(await one.count(pair), 20, 'to the day')
    await one.add(odd)
    now += DAY_MS
    t.equal(await one.count(pair), 0, 'expired')
    t.equal(await one.expire(), 1)
    t.equal(await one.count(odd), 2, 'seen in between')
    now += 61 * DAY_MS
    await one.add(odd)
    t.equal(await one.count(odd), 1, 'begins again')
    t.equal(await one.expire(), 0)
  })
}
