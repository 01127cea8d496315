/** Trees are printed so that they read back the same, or not at all. */

import fc from 'fast-check'
import t from 'tap'
import { parseConfig } from '../../daemon/config/parser.ts'
import type { Repeatable } from '../../daemon/config/repeated.ts'
import type { Block, Entry, Option } from '../../daemon/config/tree.ts'
import { runs } from '../support/fuzz.ts'
import { printConfig } from '../support/print-config.ts'

const place = { file: 'test', line: 1, column: 1 }

function option(name: string, value: string | undefined): Option {
  return { kind: 'option', name, value, place, valuePlace: place }
}

function block(type: string, name: string | undefined, entries: readonly Entry[]): Block {
  const options = entries.filter(entry => entry.kind === 'option')
  const blocks = entries.filter(entry => entry.kind === 'block')
  return { kind: 'block', type, name, place, options, blocks, entries }
}

function read(text: string, options?: Repeatable) {
  return parseConfig('test', { read: () => text, list: () => [] }, options)
}

/** Without places. */
function shape(tree: Block): unknown {
  return tree.entries.map(entry =>
    entry.kind === 'option'
      ? [entry.name, entry.value ?? null]
      : { type: entry.type, name: entry.name ?? null, inside: shape(entry) },
  )
}

const ugly = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '"',
        '#',
        '$',
        '\\',
        '\\#',
        '\\\\',
        ' ',
        '\t',
        '/*',
        '*/',
        '<<EOT',
        '<a>',
        '</a>',
      ),
      fc.constantFrom(
        '\n',
        '\r\n',
        '\nEOT\n',
        'EOT1',
        '=',
        '<a/>',
        '\\\n',
        "'",
        '*/*/',
        '\0',
        'ü',
        '\uFEFF',
      ),
      fc.string({ maxLength: 3 }),
    ),
    { maxLength: 8 },
  )
  // CR LF ends a line as LF does, in a value as well.
  .map(parts => parts.join('').replaceAll('\r\n', '\n'))

t.test('every value is printed so that it reads back the same', async t => {
  fc.assert(
    fc.property(fc.option(ugly, { nil: undefined }), value => {
      const text = printConfig(block('', undefined, [option('name', value), option('next', 'x')]))
      const back = shape(read(text).root)
      const expected = [
        ['name', value ?? null],
        ['next', 'x'],
      ]
      if (JSON.stringify(back) !== JSON.stringify(expected)) throw new Error(text)
    }),
    { numRuns: runs(3000) },
  )
  t.pass('in 3000 cases')
})

t.test('every name is printed so that it reads back the same, or refused', async t => {
  let printed = 0
  const tree = fc.letrec<{ entries: Entry[]; entry: Entry }>(tie => ({
    entries: fc.array(tie('entry'), { maxLength: 4 }),
    entry: fc.oneof(
      { depthSize: 'small' },
      fc.tuple(fc.oneof(fc.constantFrom('a', 'b c', 'd'), ugly), ugly).map(pair => option(...pair)),
      fc
        .tuple(
          fc.oneof(fc.constantFrom('Plugin', 'two words', 'x/'), ugly),
          fc.oneof(fc.constantFrom(undefined, 'n', 'n m', 'a/', ' b', 'c '), ugly),
          tie('entries'),
        )
        .map(parts => block(...parts)),
    ),
  })).entries
  fc.assert(
    fc.property(tree, entries => {
      const root = block('', undefined, entries)
      let text: string
      try {
        text = printConfig(root)
      } catch (error) {
        if (error instanceof RangeError) return
        throw error
      }
      if (entries.length > 0) printed++
      if (JSON.stringify(shape(read(text).root)) !== JSON.stringify(shape(root)))
        throw new Error(text)
    }),
    { numRuns: runs(1000) },
  )
  t.ok(printed > 50, 'and enough of them were printed')
})

t.test('whatever a file without mistakes holds can be printed', async t => {
  const pieces = fc.constantFrom(
    ...[
      'a',
      'b c',
      '=',
      ' ',
      '"',
      '\\#',
      '\\',
      '\n',
      '\n',
      '\nv = /* a\n',
      '\nv <<E\n a*/ \nE\n',
      '$',
      'x = 1\n',
      'y\n',
      '\\\n',
    ],
    ...['\n<A>\n', '\n</A>\n', '<B n>', '\n<C/>\n', '\n<D "x y"/>\n', '\nd = <<E\n', '\nE\n', '\r'],
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 30 }), parts => {
      const { root, problems } = read(parts.join(''))
      if (problems.some(({ severity }) => severity !== 'warning')) return
      const text = printConfig(root)
      if (JSON.stringify(shape(read(text).root)) !== JSON.stringify(shape(root)))
        throw new Error(text)
    }),
    { numRuns: runs(3000) },
  )
  t.pass('in 3000 cases')
})

t.test('a printed file is one that a person would have written', async t => {
  const chain = block('VirtualHost', '12345', [
    option('name', 'v'),
    block('Plugin', 'my plugin', [
      option('re_match', '^\\d+\\.example\\.org$'),
      option('action', 'reject see #5'),
      option('text', 'two\nlines'),
      option('alone', undefined),
    ]),
    block('Plugin', 'a/', []),
  ])
  t.equal(
    printConfig(block('', undefined, [chain])),
    `<VirtualHost 12345>
  name = "v"
  <Plugin my plugin>
    re_match = "^\\d+\\.example\\.org$"
    action = "reject see \\#5"
    text = <<EOT
"two
lines"
EOT
    alone
  </Plugin>
  <Plugin "a/">
  </Plugin>
</VirtualHost>
`,
  )
})

t.test('what cannot be written is refused with the reason', async t => {
  const print = (entry: Entry) => () => printConfig(block('', undefined, [entry]))
  const refused = (message: RegExp) => ({ name: 'RangeError', message })
  t.throws(
    print(option('a#b', '1')),
    refused(/option "a#b" cannot be written: option "a" with no value/),
  )
  t.throws(
    print(option('a b', undefined)),
    refused(/option "a" with the value "b" would be read back/),
  )
  t.throws(print(option('', undefined)), refused(/nothing would be read back/))
  t.throws(print(option('<b', '1')), refused(/option "<b" cannot be written: /))
  t.throws(print(block('', undefined, [])), refused(/block <> cannot be written: /))
  t.throws(print(block('Plugin', '', [])), refused(/its name is empty/))
  t.throws(print(block('Plugin', 'a\nb', [])), refused(/block <Plugin a.b> cannot be written/))
})
