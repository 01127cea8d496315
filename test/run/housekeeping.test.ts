/** What is done for the ledger now and then, under a clock that the test turns. */

import { existsSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turnOfTheLoop } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type LedgerSlot, ledgerSlot } from '../../daemon/ledger/slot.ts'
import type { Log } from '../../daemon/policy/ports/log.ts'
import { startHousekeeping } from '../../daemon/run/housekeeping.ts'
import { ledgerSums } from '../support/ledger-sums.ts'
import { type VirtualClock, virtualClock } from '../support/virtual-clock.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const LAST_HOUR = { milliseconds: HOUR }

function dayOf(at: number) {
  return { name: new Date(at).toISOString().slice(0, 10), endsAt: at + DAY }
}

/** A ledger that is looked after. */
class House {
  readonly file: string
  readonly clock: VirtualClock = virtualClock()
  readonly slot: LedgerSlot = ledgerSlot()
  readonly messages: string[] = []
  readonly #housekeeping: ReturnType<typeof startHousekeeping>

  constructor(file: string, measures?: { keep(now: number): void }) {
    this.file = file
    const say = (message: string): void => void this.messages.push(message)
    const nothing = (): void => undefined
    const log: Log = {
      debug: 1,
      error: say,
      warning: say,
      notice: say,
      connection: nothing,
      trace: nothing,
    }
    this.slot.open(file, 'normal', this.clock.now())
    this.#housekeeping = startHousekeeping({
      slot: this.slot,
      ...(measures && { measures }),
      clock: this.clock,
      log: () => log,
      timezone: () => 'UTC',
    })
  }

  /** Counts for alice, today. */
  count(recipients: number): void {
    const now = this.clock.now()
    void this.slot.ledger.judge({
      account: 'alice',
      stage: 'END-OF-MESSAGE',
      instance: `m${now}.${recipients}`,
      connection: 1,
      service: '192.0.2.1:587',
      recipient: '',
      recipients,
      bytes: 0,
      queueId: '',
      mostRecipients: Number.POSITIVE_INFINITY,
      now,
      claims: [
        { counter: 'limit', subject: 'alice', window: dayOf(now), unit: 'recipients', limit: 10 },
        { counter: 'hour', subject: 'alice', window: LAST_HOUR, unit: 'recipients', limit: 10 },
      ],
    })
    void this.slot.ledger.settle()
  }

  /** Lets time pass, second by second; what waits for the disk, such as a backup, ends within its second. */
  async pass(milliseconds: number): Promise<void> {
    for (let passed = 0; passed < milliseconds; passed += SECOND) {
      await this.clock.advance(SECOND)
      while (this.clock.pending === 0) await turnOfTheLoop()
    }
  }

  async stop(): Promise<void> {
    await this.#housekeeping.stop()
    this.slot.close()
  }
}

function house(t: Test, measures?: { keep(now: number): void }): House {
  return new House(join(t.testdir({ state: {} }), 'state/ledger.sqlite'), measures)
}

t.test('days and windows are deleted when they are old', async t => {
  const one = house(t)
  const START = one.clock.now()
  one.count(3)
  await one.clock.advance(91 * DAY)
  await one.pass(10 * SECOND)
  const began = dayOf(START)
  t.equal(await one.slot.ledger.used('limit', 'alice', began, START), 3)
  t.equal(await one.slot.ledger.used('hour', 'alice', LAST_HOUR, START), 3)
  await one.clock.advance(3 * DAY)
  await one.pass(10 * SECOND)
  t.equal(await one.slot.ledger.used('limit', 'alice', began, START), 0)
  t.equal(await one.slot.ledger.used('hour', 'alice', LAST_HOUR, START), 0)
  await one.stop()
  t.equal(ledgerSums(one.file, 'limit').get('alice'), undefined)
  t.same(one.messages, [])
})

t.test('recent days are not deleted because the clock jumps ahead by months', async t => {
  const one = house(t)
  one.count(3)
  one.clock.jump(120 * DAY)
  await one.pass(10 * MINUTE)
  await one.stop()
  t.equal(ledgerSums(one.file, 'limit').get('alice'), 3)
  t.same(one.messages, [])
})

t.test('the first backup is made after a minute, then one every hour', async t => {
  const one = house(t)
  const backup = `${one.file}.backup`
  one.count(1)
  await one.pass(MINUTE - SECOND)
  t.notOk(existsSync(backup))
  await one.pass(2 * SECOND)
  const { ino } = statSync(backup)
  await one.pass(HOUR - 5 * SECOND)
  t.equal(statSync(backup).ino, ino)
  await one.pass(10 * SECOND)
  t.not(statSync(backup).ino, ino)
  await one.stop()
})

t.test('counts go into the file within two minutes, without a stop', async t => {
  const one = house(t)
  one.count(2)
  await one.pass(3 * MINUTE)
  await one.slot.backUp()
  t.equal(ledgerSums(`${one.file}.backup`, 'limit').get('alice'), 2, 'the file alone has them')
  await one.stop()
})

t.test(
  'a file that is deleted is written again within a second or two, which is logged',
  async t => {
    const one = house(t)
    one.count(2)
    await one.pass(2 * SECOND)
    rmSync(one.file)
    await one.pass(2 * SECOND)
    t.ok(existsSync(one.file))
    t.match(one.messages, [/was deleted or replaced while in use/])
    await one.stop()
    t.equal(ledgerSums(one.file, 'limit').get('alice'), 2)
  },
)

t.test('a stop repairs once more, and leaves no timer behind', async t => {
  const one = house(t)
  one.count(2)
  rmSync(one.file)
  await one.stop()
  t.equal(one.clock.pending, 0)
  t.equal(ledgerSums(one.file, 'limit').get('alice'), 2)
})

t.test(
  'measures are ended within a second; if that fails it is tried again after a minute',
  async t => {
    const asked: number[] = []
    let isBroken = false
    const one = house(t, {
      keep(now) {
        asked.push(now)
        if (isBroken) throw new Error('disk full')
      },
    })
    const start = one.clock.now()
    await one.pass(SECOND)
    t.strictSame(asked, [start + SECOND])
    isBroken = true
    await one.pass(30 * SECOND)
    t.equal(asked.length, 2)
    t.strictSame(one.messages, ['could not write the measures: disk full'])
    isBroken = false
    await one.pass(MINUTE)
    t.ok(asked.length > 3)
    t.equal(one.messages.length, 1)
    await one.stop()
  },
)
