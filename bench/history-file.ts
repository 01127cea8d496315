/** A history that knows many accounts, for bench.ts; no daemon must have it open. */

import { OpenHistory } from '../daemon/history/history.ts'
import { systemClock } from '../daemon/system/clock.ts'
import { verdict } from '../test/history/some-mail.ts'

/** Accounts that are noted before the history's thread is waited for. */
const AT_ONCE = 5000

/** Each user of load.c has sent a message today. */
export async function fillHistory(path: string, users: number): Promise<void> {
  const history = new OpenHistory({
    path,
    clock: systemClock,
    days: 90,
    failed: message => process.stderr.write(`${message}\n`),
  })
  for (let user = 0; user < users; user++) {
    const account = `user${String(user).padStart(5, '0')}@mail.example.org`
    const client = `100.${user % 200}.${Math.floor(user / 200) % 250}.7`
    history.note(verdict(systemClock, { user: account, client, country: 'DE' }))
    if (user % AT_ONCE === AT_ONCE - 1) await history.account('nobody')
  }
  await history.close()
}
