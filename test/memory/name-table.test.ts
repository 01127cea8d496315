/** Names kept as bytes: found again, told apart, and never in each other's way. */

import fc from 'fast-check'
import t from 'tap'
import { Name } from '../../daemon/memory/name.ts'
import { NameTable } from '../../daemon/memory/name-table.ts'
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
