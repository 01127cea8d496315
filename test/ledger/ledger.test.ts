/**
 * The ledger against its model, in random orders of events; and what bounds its memory. Its behaviour
 * in words is in contract.ts.
 */

import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { type LocalLedger, openLedger } from '../../daemon/ledger/ledger.ts'
import {
  MOST_OPEN,
  MOST_RESERVED,
  UNFINISHED_MILLISECONDS,
} from '../../daemon/ledger/open-messages.ts'
import { openSqliteLedger, type SqliteLedger } from '../../daemon/ledger/sqlite-ledger.ts'
import type { LedgerStore } from '../../daemon/ledger/store.ts'
import { calendar } from '../../daemon/policy/calendar.ts'
import type { Claim, Judgement, LedgerEvent, Preview } from '../../daemon/policy/ports/ledger.ts'
import { runs } from '../support/fuzz.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { LedgerModel } from './ledger-model.ts'

const NOON = Date.UTC(2026, 10, 20, 12)
const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const utc = calendar('UTC')

type Asked = Partial<LedgerEvent> & Pick<LedgerEvent, 'stage' | 'instance'>

/** A store that what was settled in outlives. */
interface Kept<S extends LedgerStore> {
  readonly store: S
  /** What was settled is all that is left, as after kill -9. */
  killed(): Kept<S>
  close(): void
}

function inMemory(store = new MemoryStore()): Kept<MemoryStore> {
  return { store, killed: () => inMemory(new MemoryStore(store)), close: () => undefined }
}

let top = ''
let folders = 0

function onDisk(folder = newFolder()): Kept<SqliteLedger> {
  const store = openSqliteLedger(join(folder, 'ledger.sqlite'), 'normal')
  return {
    store,
    killed() {
      const copy = newFolder()
      cpSync(folder, copy, { recursive: true })
      store.abandon()
      return onDisk(copy)
    },
    close: () => store.abandon(),
  }
}

function newFolder(): string {
  if (top === '') {
    top = mkdtempSync(join(tmpdir(), 'ledger-'))
    t.teardown(() => rmSync(top, { recursive: true, force: true }))
  }
  const folder = join(top, `${folders++}`)
  mkdirSync(folder)
  return folder
}

/** A ledger with a clock that the test turns, and a limit for those who name none. */
class World<S extends LedgerStore = MemoryStore> {
  now = NOON
  limit = 5
  #kept: Kept<S>
  ledger: LocalLedger

  constructor(kept: Kept<S>) {
    this.#kept = kept
    this.ledger = openLedger(kept.store)
  }

  get store(): S {
    return this.#kept.store
  }

  claim(subject = 'alice'): Claim {
    return {
      counter: 'default',
      subject,
      window: utc(this.now),
      unit: 'recipients',
      limit: this.limit,
    }
  }

  ask(event: Asked): LedgerEvent {
    return {
      account: 'alice',
      connection: 1,
      service: '192.0.2.1:587',
      recipient: '',
      recipients: event.stage === 'RCPT' ? 1 : 0,
      bytes: 0,
      queueId: '',
      mostRecipients: Number.POSITIVE_INFINITY,
      now: this.now,
      claims: [this.claim(event.account)],
      ...event,
    }
  }

  judge(event: Asked): Judgement & { readonly used: number } {
    const judgement = this.ledger.judge(this.ask(event))
    return { ...judgement, used: judgement.standings[0]?.used ?? Number.NaN }
  }

  used(subject = 'alice'): number {
    const { counter, window } = this.claim(subject)
    return this.ledger.used(counter, subject, window, this.now)
  }

  restart(): void {
    this.ledger.settle()
    this.kill()
  }

  /** What was settled is all that is left, as after kill -9. */
  kill(): void {
    this.#kept = this.#kept.killed()
    this.ledger = openLedger(this.store)
  }

  close(): void {
    this.#kept.close()
  }
}

/** Moments from which the clock is turned: a calm one, and those at which calendars are special. */
const STARTS = {
  'noon of a Friday': NOON,
  'before the hour that Berlin leaves out': Date.UTC(2026, 2, 29, 0, 50),
  'before the hour that Berlin has twice': Date.UTC(2026, 9, 25, 0, 20),
  'before the midnight that Santiago leaves out': Date.UTC(2026, 8, 6, 3, 50),
  'before the midnight that Santiago has twice': Date.UTC(2026, 3, 5, 2, 40),
  'the end of January in Berlin': Date.UTC(2026, 0, 31, 22, 40),
  'the end of 28 February of a leap year in Santiago': Date.UTC(2028, 1, 29, 2, 40),
  'the end of a year': Date.UTC(2026, 11, 31, 22, 50),
}

const accounts = ['alice', 'bob'] as const
const services = ['192.0.2.1:587', '192.0.2.1:465', '192.0.2.1:25']
const berlin = [calendar('Europe/Berlin'), calendar('Europe/Berlin', 'week')] as const
const santiago = [calendar('America/Santiago'), calendar('America/Santiago', 'month')] as const

/** Every unit, every kind of window, and subjects that accounts share. */
function limitsOf(account: string, now: number, most: number): Claim[] {
  const own = { subject: account, limit: most }
  const rolling = (milliseconds: number) => ({ milliseconds })
  return [
    { ...own, counter: 'day', window: berlin[0](now), unit: 'recipients' },
    { ...own, counter: 'hour', window: rolling(HOUR), unit: 'recipients' },
    { counter: 'burst', subject: '', window: rolling(MINUTE), unit: 'messages', limit: most },
    {
      counter: 'domain',
      subject: 'example.org',
      window: santiago[0](now),
      unit: 'messages',
      limit: most + 2,
    },
    { ...own, counter: 'week', window: berlin[1](now), unit: 'messages' },
    { counter: 'volume', subject: '', window: santiago[1](now), unit: 'bytes', limit: most * 1000 },
    { ...own, counter: 'month', window: rolling(30 * DAY), unit: 'bytes', limit: most * 500 },
  ]
}

const COUNTERS = limitsOf('', NOON, 0).map(({ counter }) => counter)

const event = fc.record({
  what: fc.constantFrom('RCPT', 'RCPT', 'DATA', 'END-OF-MESSAGE', 'END-OF-MESSAGE'),
  message: fc.integer({ min: 0, max: 5 }),
  connection: fc.integer({ min: 1, max: 3 }),
  recipient: fc.integer({ min: 0, max: 3 }),
  count: fc.integer({ min: 0, max: 4 }),
  bytes: fc.constantFrom(0, 0, 400, 1500),
  most: fc.constantFrom(1, 2, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY),
  /** Usually the limits of one of two virtual hosts. */
  counters: fc.oneof(
    { weight: 4, arbitrary: fc.constant(COUNTERS) },
    { weight: 3, arbitrary: fc.constant(COUNTERS.slice(0, 3)) },
    { weight: 2, arbitrary: fc.constant(COUNTERS.slice(3)) },
    { weight: 2, arbitrary: fc.constant(COUNTERS.slice(0, 1)) },
    { weight: 3, arbitrary: fc.subarray(COUNTERS, { minLength: 1 }) },
  ),
  observed: fc.oneof(
    { weight: 3, arbitrary: fc.constant<string[]>([]) },
    { weight: 1, arbitrary: fc.subarray(COUNTERS) },
  ),
  hasQueueId: fc.boolean(),
  later: fc.constantFrom(0, 0, 0, SECOND, 20 * SECOND, 7 * MINUTE, 25 * MINUTE),
  /** What becomes of the answer; `later`: taken back by a step that says so. */
  fate: fc.constantFrom('sent', 'sent', 'sent', 'taken back', 'later', 'previewed only'),
})
const change = fc.record({
  what: fc.constantFrom(
    ...(['disconnect', 'restart', 'kill', 'next day', 'an hour later', 'limit'] as const),
    ...(['take back', 'give back', 'give back', 'an hour back', 'a month later', 'reset'] as const),
  ),
  connection: fc.integer({ min: 1, max: 3 }),
  limit: fc.constantFrom(0, 2, 5, 9, Number.POSITIVE_INFINITY),
  message: fc.integer({ min: 0, max: 5 }),
  loggedAfter: fc.constantFrom(0, SECOND, HOUR, -HOUR, HOUR + 1, -HOUR - 1),
})
const step = fc.oneof({ weight: 8, arbitrary: event }, { weight: 2, arbitrary: change })
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
type Event = Extract<Step, { fate: unknown }>
type Change = Exclude<Step, Event>

/** Two messages have the same one. */
const queueIdOf = (message: number): string => `4ZxGkq0Lz1z9rx${message % 5}`

/** The real ledger and its model, side by side. */
class Comparison {
  readonly world: World<LedgerStore>
  judged = 0
  #model = new LedgerModel()
  #durable = this.#copy()
  /** Answers that may still be taken back. */
  #pending: (() => void)[] = []
  /** Windows that something may have counted in. */
  readonly #windows = new Map<string, Claim>()

  constructor(kept: Kept<LedgerStore>, start: number) {
    this.world = new World(kept)
    this.world.now = start
  }

  do(step: Step): void {
    if ('fate' in step) this.#judge(step)
    else this.#change(step)
    const { now, ledger } = this.world
    for (const account of accounts) {
      for (const claim of limitsOf(account, now, 0)) {
        const { counter, subject, window } = claim
        this.#windows.set(`${counter} ${subject} ${'name' in window ? window.name : ''}`, claim)
      }
    }
    for (const claim of this.#windows.values()) {
      const { counter, subject, window } = claim
      const used = ledger.used(counter, subject, window, now)
      const expected = this.#model.used(claim, now)
      if (used !== expected) {
        throw new Error(`${counter} of ${subject}: ${used}, not ${expected}`)
      }
    }
  }

  /** The answers of this turn are sent. */
  settle(): void {
    this.world.ledger.settle()
    this.#durable = this.#copy()
  }

  #judge(step: Event): void {
    this.world.now += step.later
    const { ledger, now, limit } = this.world
    // A message keeps its sender and its service, as Postfix's instance does.
    const account = accounts[step.message % 2] ?? ''
    const claims = limitsOf(account, now, limit)
      .filter(({ counter }) => step.counters.includes(counter))
      .map(claim => (step.observed.includes(claim.counter) ? { ...claim, enforce: false } : claim))
    const asked = this.world.ask({
      stage: step.what as LedgerEvent['stage'],
      instance: `${step.message}`,
      account,
      service: services[step.message % 3] ?? '',
      connection: step.connection,
      recipient: `r${step.recipient}@example.org`,
      recipients: step.what === 'RCPT' ? 1 : step.count,
      bytes: step.what === 'RCPT' ? 0 : step.bytes,
      queueId: step.hasQueueId ? queueIdOf(step.message) : '',
      mostRecipients: step.most,
      claims,
    })
    const foreseen = ledger.preview(asked)
    same('another preview', ledger.preview(asked), foreseen)
    if (step.fate === 'previewed only') return
    const { takeBack, ...judged } = ledger.judge(asked)
    same('not as foreseen', judged, foreseen)
    const expected = this.#model.judge(asked)
    const { accepted, repeated, isOverCap, refusedBy } = expected
    const standings = claims.map(({ counter }, i) => ({
      accepted: accepted || counter !== refusedBy,
      used: expected.used[i] ?? 0,
    }))
    same('not as the model', judged, { accepted, standings, repeated, isOverCap } satisfies Preview)
    this.judged++
    const both = (): void => {
      void takeBack()
      expected.takeBack()
    }
    if (step.fate === 'taken back') both()
    else if (step.fate === 'later') this.#pending.push(both)
  }

  #change(step: Change): void {
    const { world } = this
    switch (step.what) {
      case 'disconnect':
        world.ledger.disconnect(step.connection)
        this.#model.disconnect(step.connection)
        break
      case 'restart':
        world.restart()
        this.#model.restart()
        this.#pending = []
        break
      case 'kill':
        world.kill()
        this.#model = new LedgerModel()
        Object.assign(this.#model, structuredClone(this.#durable))
        this.#model.servicesThatAskAtEnd = durableServices(world)
        this.#model.restart()
        this.#pending = []
        break
      case 'next day':
        world.now += DAY
        break
      case 'a month later':
        world.now += 30 * DAY
        break
      case 'an hour back':
        world.now -= HOUR
        break
      case 'an hour later':
        world.now += UNFINISHED_MILLISECONDS + 1
        world.ledger.expire(world.now)
        this.#model.expire(world.now)
        break
      case 'limit':
        world.limit = step.limit
        break
      case 'take back':
        this.#pending.shift()?.()
        break
      case 'give back':
        this.#giveBack(queueIdOf(step.message), world.now + step.loggedAfter)
        break
      case 'reset':
        this.#reset(accounts[step.message % 2] ?? '', COUNTERS[step.connection * 2 - 1] ?? '')
    }
  }

  #reset(account: string, counter: string): void {
    const { ledger, now } = this.world
    const claim = limitsOf(account, now, 0).find(one => one.counter === counter)
    if (!claim) throw new Error(`no counter ${counter}`)
    const used = ledger.reset(counter, claim.subject, claim.window, now)
    same('reset', used, this.#model.reset(claim, now))
  }

  #giveBack(queueId: string, at: number): void {
    const given = this.world.ledger.giveBack({ queueId }, at)
    const expected = this.#model.giveBack(queueId, at)
    const amounts = (of: typeof expected | (typeof given & object)['amounts']) =>
      of?.map(({ counter, subject, amount }) => `${counter} ${subject} ${amount}`).sort()
    same('given back', amounts(given?.amounts), amounts(expected))
  }

  #copy() {
    const { counted, decided, queued } = this.#model
    return structuredClone({ counted, decided, queued })
  }
}

function same(what: string, found: unknown, expected: unknown): void {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)]
  if (one !== other) throw new Error(`${what}: ${one}, expected ${other}`)
}

/** Random steps from a moment on. How many events were judged. */
function compare(
  make: () => Kept<LedgerStore>,
  start: number,
  numRuns: number,
  clock: 'any' | 'forward' = 'any',
): number {
  let judged = 0
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50, size: 'max' }), steps => {
      const comparison = new Comparison(make(), start)
      for (const [number, one] of steps.entries()) {
        if (clock === 'forward' && one.what === 'an hour back') continue
        try {
          comparison.do(one)
        } catch (cause) {
          throw new Error(`step ${number}: ${cause instanceof Error ? cause.message : cause}`, {
            cause,
          })
        }
        // Every other step its answer is sent, and with it the turn is settled.
        if (number % 2 === 0) comparison.settle()
      }
      judged += comparison.judged
      comparison.world.close()
    }),
    { numRuns },
  )
  return judged
}

for (const [start, at] of Object.entries(STARTS)) {
  t.test(`any order of events is judged as the state table says: from ${start} on`, async t => {
    const judged = compare(inMemory, at, runs(150))
    t.ok(judged > 500, `${judged} events were judged`)
  })
}

// Where the clock is set back, it moves what is too far in the future.
t.test('and so it is on a disk, while the clock goes forward', async t => {
  const judged = compare(onDisk, STARTS['the end of January in Berlin'], runs(40), 'forward')
  t.ok(judged > 100, `${judged} events were judged`)
})

function durableServices(world: World<LedgerStore>): Set<string> {
  return new Set([...world.store.services()].filter(([, atEnd]) => atEnd).map(([name]) => name))
}

t.test('accounts made up by a client do not fill the memory', async t => {
  const worldWithEnds = (): World => {
    const made = new World(inMemory())
    made.judge({ stage: 'END-OF-MESSAGE', instance: 'first', account: 'bob', recipients: 1 })
    return made
  }
  const reserve = (world: World, n: number, connection: number, instance = 'same'): number => {
    const event = world.ask({
      stage: 'RCPT',
      instance,
      connection,
      account: `invented${n}`,
      recipient: 'bob@example.org',
    })
    const isRare = n % 1000 < 2 || n >= MOST_OPEN
    const foreseen = isRare ? world.ledger.preview(event) : undefined
    const { takeBack, ...judged } = world.ledger.judge(event)
    if (foreseen) t.same(judged, foreseen, 'as foreseen')
    return judged.standings[0]?.used ?? 0
  }
  const one = worldWithEnds()
  for (let n = 0; n < 100; n++) reserve(one, n, 1)
  t.equal(reserve(one, 0, 2, 'new'), 1, 'a connection is at one message')
  t.equal(reserve(one, 99, 3, 'new'), 2, 'the last one still has its reservation')

  const many = worldWithEnds()
  for (let n = 0; n <= MOST_OPEN; n++) reserve(many, n, n)
  t.equal(reserve(many, 0, -1, 'new'), 1, 'the oldest of all is over')
  t.equal(reserve(many, MOST_OPEN, -2, 'new'), 2)
})

t.test(
  'recipients of messages that never end do not fill the memory, nor a limit for good',
  async t => {
    const world = new World(inMemory())
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
  },
)

t.test(
  'a disk that is full for a while costs no count: memory holds it until there is room',
  async t => {
    const world = new World(inMemory())
    world.limit = 3
    const { ledger, store } = world
    const message = (instance: string) =>
      world.ask({ stage: 'END-OF-MESSAGE', instance, recipients: 2 })
    store.isFull = true
    t.match(ledger.judge(message('a')), { accepted: true, standings: [{ used: 2 }] })
    t.throws(() => ledger.settle(), /disk full/)
    t.match(ledger.judge(message('a')), { accepted: true, repeated: true })
    t.match(ledger.judge(message('b')), { accepted: false, standings: [{ used: 2 }] })
    store.isFull = false
    world.restart()
    t.equal(world.used(), 2)
    t.match(world.judge({ stage: 'END-OF-MESSAGE', instance: 'a', recipients: 2 }), {
      repeated: true,
    })
  },
)

t.test(
  'a store that fails on the way leaves a message counted by all limits, or by none',
  async t => {
    const claims = limitsOf('alice', NOON, 9)
    for (let calls = 0; calls < 20; calls++) {
      const world = new World(inMemory())
      const message = { instance: 'a', claims, bytes: 400 }
      const used = () =>
        claims.map(({ counter, subject, window }) =>
          world.ledger.used(counter, subject, window, NOON),
        )
      const attempt = (work: () => unknown): void => {
        const before = used()
        world.store.failsAfter = calls
        try {
          work()
        } catch {
          t.same(used(), before, 'nothing has changed')
        }
        world.store.failsAfter = Number.POSITIVE_INFINITY
      }
      attempt(() => world.judge({ ...message, stage: 'DATA', recipients: 2 }))
      const { takeBack } = world.judge({ ...message, stage: 'DATA', recipients: 2 })
      t.same(used(), [2, 2, 1, 1, 1, 400, 400])
      attempt(() => world.judge({ ...message, stage: 'DATA', recipients: 3 }))
      attempt(takeBack)
      takeBack()
      t.same(used(), [0, 0, 0, 0, 0, 0, 0])
    }
  },
)

t.test('counting continues in another store, with all that is known of messages', async t => {
  const world = new World(inMemory())
  const { ledger } = world
  const claims = limitsOf('alice', NOON, 9)
  const message = { instance: 'a', recipients: 2, claims, queueId: 'q' }
  ledger.judge(world.ask({ ...message, stage: 'DATA' }))
  ledger.judge(world.ask({ stage: 'RCPT', instance: 'b', recipient: 'x', claims }))
  const elsewhere = { connection: 2, service: '192.0.2.1:25', account: 'bob' }
  ledger.judge(world.ask({ ...elsewhere, stage: 'RCPT', instance: 'd', recipient: 'x' }))
  ledger.settle()
  const other = new MemoryStore(world.store)
  ledger.moveTo(other)
  for (const _ of ledger.replay()) t.fail('one step is enough')
  t.match(ledger.judge(world.ask({ ...message, stage: 'END-OF-MESSAGE', recipients: 1 })), {
    accepted: true,
    standings: [{ used: 1 }, { used: 1 }, { used: 1 }],
  })
  t.match(ledger.judge(world.ask({ stage: 'RCPT', instance: 'c', recipient: 'x', claims })), {
    standings: [{ used: 2 }, { used: 2 }, { used: 2 }],
  })
  ledger.disconnect(2)
  const { counter, window } = world.claim('bob')
  t.equal(ledger.used(counter, 'bob', window, NOON), 1, 'what was reserved before')
  ledger.settle()
  const restarted = openLedger(new MemoryStore(other))
  t.match(restarted.giveBack({ queueId: 'q' }, NOON), { amounts: [{ amount: 1 }, {}, {}, {}, {}] })
})
