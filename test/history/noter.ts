/**
 * A process that notes made events in a history and is killed: noter.ts PATH SEED FROM COUNT. After each few it
 * prints how many there were, when they are in the spool.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { OpenHistory } from '../../daemon/history/history.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { BEGAN, madeClock, madeEvents } from './made-events.ts'
import { verdict } from './some-mail.ts'

const [path = '', seed = '', from = '', count = ''] = process.argv.slice(2)
const clock = madeClock(systemClock)
const history = new OpenHistory({ path, clock, days: 90, failed: () => undefined })
const events = madeEvents(Number(seed), Number(count))
let number = Number(from)
for (const { at, mail } of events.slice(number)) {
  clock.at = at
  history.note(verdict(clock, mail))
  number++
  if (number % 7 !== 0) continue
  // Accepted mail is written within 2 ms.
  await sleep(5)
  process.stdout.write(`${number}\n`)
  // Begins to write what was read to the file.
  if (number % 63 === 0) void history.hours(BEGAN, BEGAN)[Symbol.asyncIterator]().next()
}
process.stdout.write('done\n')
setInterval(() => undefined, 1000)
