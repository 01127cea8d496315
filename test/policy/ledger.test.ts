/** The ledger against its state table, in random orders of events, on the real store. */

import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import {
  type Judgement,
  type Ledger,
  type LedgerEvent,
  MISSED_ENDS,
  MOST_OF_AN_INSTANCE,
  MOST_OPEN,
  MOST_RESERVED,
  openLedger,
  UNFINISHED_MILLISECONDS,
} from '../../daemon/policy/ledger.ts'
import { openSqliteLedger, type SqliteLedgerStore } from '../../daemon/store/sqlite-ledger.ts'
import { runs } from '../support/fuzz.ts'
import { LedgerModel } from './ledger-model.ts'

const top = mkdtempSync(join(tmpdir(), 'ledger-'))
t.teardown(() => rmSync(top, { recursive: true, force: true }))
let folders = 0

const NOON = Date.UTC(2026, 10, 20, 12)
const DAY = 86_400_000

/** A real ledger on a file of its own, with a clock that the test turns. */
class World {
  now = NOON
  /** Midnight comes when the test says so, a minute later. */
  #days = 0
  limit = 5
  #folder = join(top, `${folders++}`)
  store: SqliteLedgerStore
  ledger: Ledger

  constructor() {
    mkdirSync(this.#folder)
    this.store = openSqliteLedger(join(this.#folder, 'ledger.sqlite'), 'normal')
    this.ledger = openLedger(this.store)
  }

  get day() {
    const midnight = Math.floor(NOON / DAY) * DAY + this.#days * DAY
    return { name: new Date(midnight).toISOString().slice(0, 10), endsAt: midnight + DAY }
  }

  nextDay(): void {
    this.#days++
    this.now += 60_000
  }

  ask(event: Partial<LedgerEvent> & Pick<LedgerEvent, 'stage' | 'instance'>): LedgerEvent {
    return {
      scope: 'default',
      account: 'alice',
      connection: 1,
      service: '192.0.2.1:587',
      recipient: '',
      recipients: event.stage === 'RCPT' ? 1 : 0,
      limit: this.limit,
      day: this.day,
      now: this.now,
      ...event,
    }
  }

  judge(event: Partial<LedgerEvent> & Pick<LedgerEvent, 'stage' | 'instance'>): Judgement {
    const judgement = this.ledger.judge(this.ask(event))
    if (judgement instanceof Promise) throw new Error('SQLite answers at once')
    return judgement
  }

  used(account = 'alice'): number {
    return this.store.used('default', account, this.day.name)
  }

  restart(): void {
    this.ledger.settle()
    this.store.close()
    this.#reopen()
  }

  /** What is on disk at this moment is all that is left, as after kill -9. */
  kill(): void {
    const before = this.#folder
    this.#folder = join(top, `${folders++}`)
    cpSync(before, this.#folder, { recursive: true })
    this.store.close()
    this.#reopen()
  }

  #reopen(): void {
    this.store = openSqliteLedger(join(this.#folder, 'ledger.sqlite'), 'normal')
    this.ledger = openLedger(this.store)
  }
}

const accounts = ['alice', 'bob']
const services = ['192.0.2.1:587', '192.0.2.1:465', '192.0.2.1:25']

const event = fc.record({
  what: fc.constantFrom('RCPT', 'RCPT', 'DATA', 'END-OF-MESSAGE', 'END-OF-MESSAGE'),
  message: fc.integer({ min: 0, max: 5 }),
  connection: fc.integer({ min: 1, max: 3 }),
  recipient: fc.integer({ min: 0, max: 3 }),
  count: fc.integer({ min: 0, max: 4 }),
})
const change = fc.record({
  what: fc.constantFrom('disconnect', 'restart', 'kill', 'next day', 'an hour later', 'limit'),
  connection: fc.integer({ min: 1, max: 3 }),
  limit: fc.constantFrom(0, 2, 5, 9, Number.POSITIVE_INFINITY),
})
const step = fc.oneof({ weight: 8, arbitrary: event }, { weight: 2, arbitrary: change })

t.test('any order of events is judged and counted as the state table says', async t => {
  let judged = 0
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), steps => {
      const world = new World()
      let model = new LedgerModel()
      let durable = structuredClone({ used: model.used, decided: model.decided })
      for (const [at, one] of steps.entries()) {
        if ('message' in one) {
          // A message keeps its sender and its service, as Postfix's instance does.
          const asked = world.ask({
            stage: one.what as LedgerEvent['stage'],
            instance: `${one.message}`,
            account: accounts[one.message % 2] ?? '',
            service: services[one.message % 3] ?? '',
            connection: one.connection,
            recipient: `r${one.recipient}@example.org`,
            recipients: one.what === 'RCPT' ? 1 : one.count,
          })
          const { accepted, used } = world.judge(asked)
          const expected = model.judge(asked)
          if (accepted !== expected.accepted || used !== expected.used) {
            throw new Error(`step ${at}: ${JSON.stringify({ accepted, used, expected })}`)
          }
          judged++
        } else {
          switch (one.what) {
            case 'disconnect':
              world.ledger.disconnect(one.connection)
              model.disconnect(one.connection)
              break
            case 'restart':
              world.restart()
              model.restart()
              break
            case 'kill': {
              world.kill()
              const asksAtEnd = durableServices(world)
              model = new LedgerModel()
              model.used = structuredClone(durable.used)
              model.decided = structuredClone(durable.decided)
              model.servicesThatAskAtEnd = asksAtEnd
              break
            }
            case 'next day':
              world.nextDay()
              break
            case 'an hour later':
              world.now += UNFINISHED_MILLISECONDS + 1
              world.ledger.expire(world.now)
              model.expireAll()
              break
            case 'limit':
              world.limit = one.limit
          }
        }
        // Every other step its answer leaves, and with it the turn is settled.
        if (at % 2 === 0) {
          world.ledger.settle()
          durable = structuredClone({ used: model.used, decided: model.decided })
        }
        for (const account of accounts) {
          const expected = model.used.get(`${account} ${world.day.name}`) ?? 0
          if (world.used(account) !== expected) {
            throw new Error(`step ${at}: ${account} ${world.used(account)}, not ${expected}`)
          }
        }
      }
      world.store.close()
    }),
    { numRuns: runs(400) },
  )
  t.ok(judged > 1000, `${judged} events were judged`)
})

function durableServices(world: World): Set<string> {
  return new Set([...world.store.services()].filter(([, atEnd]) => atEnd).map(([name]) => name))
}

t.test('an account that races over many connections gets exactly its limit', async t => {
  for (const stages of [['END-OF-MESSAGE'], ['RCPT'], ['RCPT', 'END-OF-MESSAGE']] as const) {
    const world = new World()
    world.limit = 7
    const passed = Array.from({ length: 40 }, (_, message) =>
      stages.every(
        stage =>
          world.judge({
            stage,
            instance: `m${message}`,
            connection: message,
            recipient: 'bob@example.org',
            recipients: 1,
          }).accepted,
      ),
    )
    t.equal(passed.filter(Boolean).length, 7, `asked at ${stages.join(' and ')}`)
    world.store.close()
  }
})

t.test(
  'a refused message is refused again when Postfix asks again, also after a raise',
  async t => {
    const world = new World()
    world.limit = 2
    t.notOk(world.judge({ stage: 'END-OF-MESSAGE', instance: 'a', recipients: 3 }).accepted)
    world.limit = 10
    world.restart()
    const again = world.judge({ stage: 'END-OF-MESSAGE', instance: 'a', recipients: 3 })
    t.match(again, { accepted: false, repeated: true, used: 0 })
    world.store.close()
  },
)

t.test('invented accounts take no memory without end, and give reservations back', async t => {
  const world = (): World => {
    const made = new World()
    made.judge({ stage: 'END-OF-MESSAGE', instance: 'first', account: 'bob', recipients: 1 })
    return made
  }
  const reserve = (at: World, n: number, connection: number, instance = 'same'): number =>
    at.judge({
      stage: 'RCPT',
      instance,
      connection,
      account: `invented${n}`,
      recipient: 'bob@example.org',
    }).used
  const one = world()
  for (let n = 0; n <= MOST_OF_AN_INSTANCE; n++) reserve(one, n, 1)
  t.equal(reserve(one, 0, 2, 'new'), 1, 'the first has given its reservation back')
  t.equal(reserve(one, 1, 3, 'new'), 2, 'all others still have theirs')
  one.store.close()

  const many = world()
  for (let n = 0; n <= MOST_OPEN; n++) reserve(many, n, Math.floor(n / MOST_OF_AN_INSTANCE))
  t.equal(reserve(many, 0, -1, 'new'), 1, 'the oldest of all is over')
  t.equal(reserve(many, MOST_OPEN, -2, 'new'), 2)
  many.store.close()
})

t.test(
  'recipients that never come to an end fill no memory, and nobody’s limit for good',
  async t => {
    const world = new World()
    world.limit = Number.POSITIVE_INFINITY
    const reserve = (instance: number, recipient: number): number =>
      world.judge({
        stage: 'RCPT',
        instance: `i${instance}`,
        connection: instance,
        account: `invented${instance}`,
        recipient: `r${recipient}@example.org`,
      }).used
    world.judge({ stage: 'END-OF-MESSAGE', instance: 'one that ends', recipients: 1 })
    const each = MOST_RESERVED / 4
    for (let message = 0; message < 4; message++) {
      for (let n = 0; n < each; n++) reserve(message, n)
    }
    t.equal(reserve(1, each), each + 1)
    t.equal(reserve(0, 0), 1, 'the oldest of all was over')
    t.equal(reserve(2, each), each + 1)
    world.store.close()
  },
)

t.test(
  'what is no number of recipients counts nothing, and whoever said it hears of it',
  async t => {
    const world = new World()
    for (const recipients of [Number.NaN, Number.POSITIVE_INFINITY, 1.5]) {
      for (const stage of ['DATA', 'END-OF-MESSAGE'] as const) {
        t.throws(() => world.judge({ stage, instance: 'a', recipients }), /no number of recipients/)
      }
    }
    t.match(world.judge({ stage: 'END-OF-MESSAGE', instance: 'a', recipients: 2 }), { used: 2 })
    world.store.close()
  },
)

t.test(
  'recipients added after DATA was asked are counted, and refused beyond the limit',
  async t => {
    // Another rule at DATA refuses, e.g. reject_unauth_pipelining: the message stays open.
    for (const stage of ['DATA', 'END-OF-MESSAGE'] as const) {
      const world = new World()
      t.ok(world.judge({ stage: 'DATA', instance: 'a', recipients: 1 }).accepted)
      t.ok(world.judge({ stage: 'DATA', instance: 'a', recipients: 4 }).accepted)
      t.equal(world.used(), 4, 'the number has grown')
      const grown = world.judge({ stage, instance: 'a', recipients: 100 })
      t.match(grown, { accepted: false, used: 0 }, `refused whole at ${stage}`)
      t.notOk(world.judge({ stage, instance: 'a', recipients: 1 }).accepted, 'and stays refused')
      world.store.close()
    }
  },
)

t.test('a limit that is lowered refuses until the day turns, and takes nothing back', async t => {
  const world = new World()
  t.ok(world.judge({ stage: 'END-OF-MESSAGE', instance: 'a', recipients: 4 }).accepted)
  world.limit = 3
  t.match(world.judge({ stage: 'END-OF-MESSAGE', instance: 'b', recipients: 1 }), {
    accepted: false,
    used: 4,
  })
  world.nextDay()
  t.ok(world.judge({ stage: 'END-OF-MESSAGE', instance: 'c', recipients: 3 }).accepted)
  world.store.close()
})

t.test('a service that only ever asks at RCPT is named, until it asks at the end', async t => {
  const world = new World()
  world.judge({ stage: 'RCPT', instance: 'a', recipient: 'x@example.org' })
  t.same(world.ledger.recipientOnlyServices(), ['192.0.2.1:587'])
  world.restart()
  t.same(world.ledger.recipientOnlyServices(), ['192.0.2.1:587'])
  world.judge({ stage: 'END-OF-MESSAGE', instance: 'b' })
  t.same(world.ledger.recipientOnlyServices(), [])
  world.store.close()
})

t.test('counters of different names do not mix', async t => {
  const world = new World()
  world.judge({ stage: 'END-OF-MESSAGE', instance: 'a', recipients: 4, scope: 'other' })
  t.equal(world.used(), 0)
  t.ok(world.judge({ stage: 'END-OF-MESSAGE', instance: 'a', recipients: 5 }).accepted)
  world.store.close()
})

t.test('where nobody asks at the end, a message over midnight counts on its last day', async t => {
  const world = new World()
  const rcpt = (recipient: string) => world.judge({ stage: 'RCPT', instance: 'a', recipient })
  rcpt('x@example.org')
  world.nextDay()
  rcpt('y@example.org')
  world.ledger.disconnect(1)
  t.equal(world.used(), 2)
  world.store.close()
})

/** A ledger whose disk can be full. */
function withDisk({ store }: World) {
  const disk = { isFull: false }
  const settle = (): void => {
    if (disk.isFull) throw new Error('disk full')
    store.settle()
  }
  return { disk, ledger: openLedger({ ...store, settle }) }
}

t.test(
  'a disk that is full for a while costs no count: memory holds it until there is room',
  async t => {
    const world = new World()
    world.limit = 3
    const { ledger, disk } = withDisk(world)
    disk.isFull = true
    const message = (instance: string) =>
      world.ask({ stage: 'END-OF-MESSAGE', instance, recipients: 2 })
    t.match(ledger.judge(message('a')), { accepted: true, used: 2 })
    t.throws(() => ledger.settle(), /disk full/)
    t.match(ledger.judge(message('a')), { accepted: true, repeated: true })
    t.match(ledger.judge(message('b')), { accepted: false, used: 2 })
    disk.isFull = false
    ledger.settle()
    world.restart()
    t.equal(world.used(), 2)
    t.match(world.judge({ stage: 'END-OF-MESSAGE', instance: 'a', recipients: 2 }), {
      repeated: true,
    })
    world.store.close()
  },
)

t.test('what is answered otherwise in the end is not counted', async t => {
  const world = new World()
  world.limit = 4
  const ask = (stage: LedgerEvent['stage'], instance: string, recipients = 1) =>
    world.judge({ stage, instance, recipients, connection: 7 })
  const undone = (...asked: Parameters<typeof ask>) => {
    const { takeBack, ...judgement } = ask(...asked)
    takeBack()
    return judgement
  }
  ask('DATA', 'b', 2)
  for (const stage of ['RCPT', 'DATA', 'END-OF-MESSAGE'] as const) {
    for (let again = 0; again < 3; again++) {
      t.match(undone(stage, 'a'), { accepted: true, used: 3 }, `${stage}, asked again`)
    }
  }
  t.match(undone('END-OF-MESSAGE', 'b', 3), { accepted: true, used: 3 }, 'one more after DATA')
  t.equal(world.used(), 0, 'the mail as a whole was not accepted')
  t.match(ask('END-OF-MESSAGE', 'b', 3), { accepted: true, used: 3 })
  t.match(undone('END-OF-MESSAGE', 'd', 2), { accepted: false, used: 3 }, 'a refusal, too')
  t.match(ask('END-OF-MESSAGE', 'd', 1), { accepted: true, used: 4 })
  t.match(undone('END-OF-MESSAGE', 'd', 1), { accepted: true, repeated: true }, 'asked again')
  t.equal(world.used(), 3)
  world.kill()
  t.equal(world.used(), 0, 'nothing was settled')
  ask('END-OF-MESSAGE', 'e', 2)
  undone('END-OF-MESSAGE', 'f', 2)
  world.ledger.settle()
  world.kill()
  t.equal(world.used(), 2)
  t.match(ask('END-OF-MESSAGE', 'e', 2), { accepted: true, repeated: true })
  world.nextDay()
  t.match(ask('END-OF-MESSAGE', 'f', 2), { accepted: true, used: 2 }, 'on the day it comes again')
  t.equal(world.used(), 2)
  world.store.close()
})

t.test(
  'a service that stops asking at the end is noticed, and counts at RCPT from then on',
  async t => {
    const world = new World()
    world.limit = 1000
    world.judge({ stage: 'END-OF-MESSAGE', instance: 'first' })
    const before = world.used()
    for (let message = 0; message <= MISSED_ENDS; message++) {
      world.judge({ stage: 'RCPT', instance: `m${message}`, recipient: 'x@example.org' })
    }
    t.same(world.ledger.recipientOnlyServices(), ['192.0.2.1:587'])
    const after = world.used()
    world.judge({ stage: 'RCPT', instance: 'n', recipient: 'x@example.org' })
    t.ok(after > before, 'the message that was the last straw is counted')
    t.equal(world.used(), after + 1, 'and every one from then on')
    world.store.close()
  },
)

t.test('another account under a known instance is judged for itself', async t => {
  const world = new World()
  world.judge({ stage: 'END-OF-MESSAGE', instance: 'a', recipients: 1 })
  t.match(
    world.judge({ stage: 'END-OF-MESSAGE', instance: 'a', account: 'mallory', recipients: 9 }),
    { accepted: false, repeated: false },
  )
  world.store.close()
})

t.test('what was reserved under one instance for another account is given back, too', async t => {
  const world = new World()
  world.limit = 1
  // A service that asks at the end: there an aborted message costs nothing.
  world.judge({ stage: 'END-OF-MESSAGE', instance: 'first', account: 'carol', connection: 3 })
  for (const account of ['alice', 'mallory']) {
    const recipient = `friend-of-${account}@example.net`
    const rcpt = { stage: 'RCPT', instance: 'a', account, recipient } as const
    t.ok(world.judge(rcpt).accepted)
  }
  world.ledger.disconnect(1)
  for (const account of ['alice', 'mallory']) {
    const next = { stage: 'RCPT', instance: `of ${account}`, account, recipient: 'y' } as const
    t.ok(world.judge({ ...next, connection: 2 }).accepted, `${account} may send again`)
  }
  world.store.close()
})
