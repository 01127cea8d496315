/** Which messages are known, what is known of them, and for how long. */

import fc from 'fast-check'
import t from 'tap'
import { accountOf, type Decided, messageKey, queueKey } from '../../daemon/ledger/decided.ts'
import { DecidedMessages, REMEMBERED } from '../../daemon/ledger/decided-messages.ts'
import { Periods } from '../../daemon/ledger/period.ts'
import { runs } from '../support/fuzz.ts'

const periods = new Periods()
const today = periods.named('limit', '2026-11-20')
const hour = periods.of('hourly', { milliseconds: 3_600_000 })

const counted = (amount: number, subject = 'alice'): Decided => ({
  accepted: true,
  refusedBy: '',
  stage: 'DATA',
  at: 1000,
  queue: '',
  entries: [{ period: today, bucket: 0, subject, amount }],
})
const one = counted(3)
const remember = (messages: DecidedMessages, message: string, decided: Decided): void =>
  messages.remember(message, accountOf(message), decided)
const key = (account: string, instance: string): string => messageKey({ account, instance })

t.test('a message is known by its account and its instance', async t => {
  const messages = new DecidedMessages()
  remember(messages, key('alice', 'i'), one)
  t.same(messages.find(key('alice', 'i')), one)
  t.equal(messages.find(key('bob', 'i')), undefined)
  t.equal(messages.find(key('alice', 'j')), undefined)
  remember(messages, key('alice', 'i'), counted(4))
  t.same(messages.find(key('alice', 'i')), counted(4), 'the newer one')
})

t.test('what is remembered belongs to its own key, whatever was looked up before', async t => {
  const messages = new DecidedMessages()
  messages.find(key('alice', 'looked up'))
  remember(messages, key('alice', 'remembered'), one)
  t.equal(messages.find(key('alice', 'looked up')), undefined)
  t.same(messages.find(key('alice', 'remembered')), one)
})

t.test('a message is recalled from the bytes of its key', async t => {
  const long = key('\u00e4lice', 'i'.repeat(2000))
  const messages = new DecidedMessages()
  messages.find(long)
  messages.recall(Buffer.from(key('bob', 'other')), counted(1, 'bob'))
  messages.recall(Buffer.from(long), counted(3, '\u00e4lice'))
  t.same(messages.find(long), counted(3, '\u00e4lice'))
  t.same(messages.find(key('bob', 'other')), counted(1, 'bob'))
  t.equal(messages.find(key('alice', 'i'.repeat(2000))), undefined)
  t.same(
    [...messages.all()],
    [
      [key('bob', 'other'), counted(1, 'bob')],
      [long, counted(3, '\u00e4lice')],
    ],
    'oldest first',
  )
})

t.test('the last messages are remembered, those long before are not', async t => {
  const messages = new DecidedMessages()
  const nth = (number: number): string => key('alice', `${number}`)
  const queued = (number: number): Decided => ({ ...one, queue: `q${number}` })
  for (let i = 0; i < 3 * REMEMBERED + 10; i++) remember(messages, nth(i), queued(i))
  for (const forgotten of [5, REMEMBERED + 5]) {
    t.equal(messages.find(nth(forgotten)), undefined)
    t.equal(messages.findQueued(`q${forgotten}`), undefined)
  }
  for (const known of [2 * REMEMBERED + 20, 3 * REMEMBERED + 9]) {
    t.same(messages.find(nth(known)), queued(known))
    t.equal(messages.findQueued(`q${known}`), nth(known))
  }
})

t.test('a message is found by its queue id: the last one that had it', async t => {
  const messages = new DecidedMessages()
  const queue = queueKey({ queueId: '4Zx', instance: '1.2' })
  t.equal(messages.findQueued(queue), undefined)
  remember(messages, key('alice', 'a'), { ...one, queue })
  remember(messages, key('alice', 'b'), one)
  t.equal(messages.findQueued(queue), key('alice', 'a'))
  t.equal(messages.findQueued('4Zy'), undefined)
  t.equal(messages.findQueued(''), undefined, 'messages without one')
  remember(messages, key('alice', 'c'), { ...one, queue })
  t.equal(messages.findQueued(queue), key('alice', 'c'))
  t.equal(queueKey({ queueId: '', instance: 'anonymous' }), '')
})

t.test('a message that is given one queue id after the other is found by the last one', async t => {
  const messages = new DecidedMessages()
  const queue = (number: number): string => `q${number}`
  for (let i = 0; i <= REMEMBERED; i++) {
    remember(messages, key('alice', 'a'), { ...one, queue: queue(i) })
  }
  t.equal(messages.findQueued(queue(REMEMBERED - 1)), undefined, 'it has another one now')
  t.equal(messages.findQueued(queue(REMEMBERED)), key('alice', 'a'))
  t.equal(messages.find(key('alice', 'a'))?.queue, queue(REMEMBERED))
})

t.test('entries move to the periods of another store', async t => {
  const messages = new DecidedMessages()
  remember(messages, key('alice', 'a'), {
    ...one,
    entries: [...one.entries, { period: hour, bucket: 29_000_000, subject: 'bob', amount: 2 }],
  })
  const others = new Periods()
  messages.moveTo(others)
  const found = messages.find(key('alice', 'a'))?.entries
  t.equal(found?.[0]?.period, others.named('limit', '2026-11-20'))
  t.equal(found?.[1]?.period, others.of('hourly', { milliseconds: 3_600_000 }))
  t.match(found?.[1], { bucket: 29_000_000, subject: 'bob', amount: 2 })
})

const entry = fc.record({
  period: fc.constantFrom(
    today,
    hour,
    periods.of('burst', { milliseconds: 10_000 }),
    ...Array.from({ length: 100 }, (_, day) => periods.named('limit', `day ${day}`)),
  ),
  bucket: fc.oneof(fc.nat(), fc.maxSafeNat()),
  subject: fc.oneof(fc.constantFrom('', 'alice', 'lice'), fc.string({ unit: 'grapheme' })),
  amount: fc.oneof(fc.nat(200), fc.maxSafeNat()),
})
const decided = fc.record({
  accepted: fc.boolean(),
  refusedBy: fc.constantFrom('limit', 'hourly', ''),
  stage: fc.constantFrom('DATA', 'END-OF-MESSAGE'),
  at: fc.maxSafeNat(),
  queue: fc.constantFrom('', 'q', '@59f7'),
  entries: fc.array(entry, { maxLength: 12 }),
})

t.test('whatever is remembered of a message is found as it was', async t => {
  const messages = new DecidedMessages()
  const expected = new Map<string, Decided>()
  fc.assert(
    fc.property(fc.constantFrom('alice', '', '\u00e4'), fc.nat(20), decided, (account, n, one) => {
      const message = key(account, `${n}`)
      const valid: Decided = {
        ...one,
        refusedBy: one.accepted ? '' : one.refusedBy,
        entries: one.entries.map(each => ({
          ...each,
          bucket: each.period.bucketMilliseconds > 0 ? each.bucket : 0,
        })),
      }
      remember(messages, message, valid)
      expected.set(message, valid)
      for (const [each, known] of expected) {
        const found = messages.find(each)
        if (JSON.stringify(found) !== JSON.stringify(known)) throw new Error(each)
      }
    }),
    { numRuns: runs(400) },
  )
  t.equal([...messages.all()].length, expected.size)
})
