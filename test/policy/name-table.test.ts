/** Names kept as bytes: found again, told apart, and never in each other's way. */

import fc from 'fast-check'
import t from 'tap'
import { DecidedMessages, REMEMBERED } from '../../daemon/policy/decided.ts'
import { Name } from '../../daemon/policy/name.ts'
import { NameTable } from '../../daemon/policy/name-table.ts'
import { runs } from '../support/fuzz.ts'

const names = fc.array(
  fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('', 'a', 'ä', '\ufeffa')),
)

t.test('a name has the number it was added with, whatever it is made of', async () => {
  fc.assert(
    fc.property(names, fc.integer({ min: 0, max: 2 ** 32 - 1 }), (all, seed) => {
      const table = new NameTable(seed)
      const numbers = new Map<string, number>()
      const named = new Name(seed)
      for (const name of all) {
        const expected = numbers.get(name) ?? -1
        if (table.find(named.of(name)) !== expected) throw new Error(`found another "${name}"`)
        if (expected < 0) numbers.set(name, table.add(named))
      }
      const { starts, bytes } = table.packed()
      const again = NameTable.of(seed, starts.slice(), bytes.slice())
      for (const [name, number] of numbers) {
        if (table.nameOf(number) !== name) throw new Error(`"${name}" reads otherwise`)
        const found = again.find(new Name(seed).of(name))
        if (found !== number) throw new Error(`"${name}" is lost when it is read back`)
      }
    }),
    { numRuns: runs(300) },
  )
})

t.test('many names, each found among them all', async t => {
  const table = new NameTable(7)
  const name = (number: number) => `user${number}@example.org`
  const named = new Name(7)
  for (let i = 0; i < 20_000; i++) table.add(named.of(name(i)))
  const wrong = Array.from({ length: 20_000 }, (_, i) => table.find(named.of(name(i))) - i)
  t.ok(wrong.every(difference => difference === 0))
  t.equal(table.find(named.of('nobody')), -1)
})

t.test('a long name is itself, and so is the short one after it', async t => {
  const table = new NameTable(7)
  const named = new Name(7)
  const names = ['用'.repeat(400), 'alice', 'x'.repeat(5000), '', 'jürgen', '😀', '\ufeffx']
  const numbers = names.map(name => table.add(named.of(name)))
  t.strictSame(
    numbers.map(number => table.nameOf(number)),
    names,
  )
  t.strictSame(
    names.map(name => table.find(named.of(name))),
    numbers,
  )
})

t.test('one name after the other is made of a text or of bytes, also the same again', async t => {
  const name = new Name(7)
  const textOf = ({ bytes, length }: Name): string => Buffer.from(bytes).toString('utf8', 0, length)
  t.equal(textOf(name.of('alice')), 'alice')
  const { hash } = name
  t.equal(textOf(name.ofBytes(Buffer.from('bob'))), 'bob')
  t.equal(textOf(name.of('alice')), 'alice')
  t.equal(name.hash, hash)
  t.equal(name.ofBytes(Buffer.from('alice')).hash, hash)
})

t.test('a message is known by its counter, its account and its instance', async t => {
  const messages = new DecidedMessages()
  const find = (...message: [scope: string, account: string, instance: string]) =>
    messages.find(messages.named(...message))
  const one = { day: '2026-11-20', accepted: true, counted: 3, stage: 'DATA', at: 1 } as const
  messages.remember(messages.named('a', 'alice', 'i'), one)
  t.match(find('a', 'alice', 'i'), { counted: 3, day: '2026-11-20', stage: 'DATA' })
  t.equal(find('b', 'alice', 'i'), undefined)
  t.equal(find('a', 'bob', 'i'), undefined)
  t.equal(find('a', 'alice', 'j'), undefined)
  messages.remember(messages.named('a', 'alice', 'i'), { ...one, day: '2026-11-21', counted: 4 })
  t.match(find('a', 'alice', 'i'), { counted: 4, day: '2026-11-21' }, 'the newer one')
  const { bytes, length } = messages.named('a', 'älice', 'i'.repeat(2000))
  const next = new DecidedMessages()
  next.recall(bytes.slice(0, length), one)
  t.match(next.find(next.named('a', 'älice', 'i'.repeat(2000))), { counted: 3 }, 'recalled')
  t.equal(next.find(next.named('a', 'alice', 'i')), undefined)
})

t.test('the last messages are remembered, those long before are not', async t => {
  const messages = new DecidedMessages()
  const at = (number: number, time: number): void =>
    messages.remember(messages.named('s', 'alice', `${number}`), {
      day: 'd',
      accepted: true,
      counted: 1,
      stage: 'END-OF-MESSAGE',
      at: time,
    })
  const find = (number: number) => messages.find(messages.named('s', 'alice', `${number}`))
  for (let i = 0; i < 2 * REMEMBERED + 10; i++) at(i, i % 1000)
  t.equal(find(5), undefined)
  t.ok(find(REMEMBERED + 20))
  for (const hours of [1000, -1000, 1001]) at(-hours, hours * 3_600_000)
  t.ok(find(REMEMBERED + 20), 'however often the clock is set')
})
