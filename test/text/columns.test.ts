/** Text from elsewhere on a terminal. */

import t from 'tap'
import { columnsOf, cutOff, padded, printable, shortened } from '../../daemon/text/columns.ts'

t.test('a name cannot control the terminal, hide in it or turn its direction', async t => {
  t.equal(printable('alice@example.org'), 'alice@example.org')
  t.equal(printable('jürgen 山田'), 'jürgen 山田')
  t.equal(printable('a\x1b[2Jb'), 'a\\x1b[2Jb')
  t.equal(printable('a\nb\tc\x7f\x9b'), 'a\\x0ab\\x09c\\x7f\\x9b')
  t.equal(printable('a\u202egpj\u200b\u2028'), 'a\\u{202e}gpj\\u{200b}\\u{2028}')
  t.equal(printable('half \ud800 a pair'), 'half \\u{d800} a pair')
})

t.test('wide letters take two columns, accents none', async t => {
  t.equal(columnsOf('alice'), 5)
  t.equal(columnsOf('山田'), 4)
  t.equal(columnsOf('한국'), 4)
  t.equal(columnsOf('e\u0301'), 1)
  t.equal(columnsOf('ｱ'), 1, 'half-width')
  t.equal(columnsOf('😀'), 2)
  t.equal(padded('山田', 6), '山田  ')
  t.equal(padded('longer', 3), 'longer')
})

t.test('what is too long keeps its beginning and its end', async t => {
  t.equal(shortened('alice@example.org', 17), 'alice@example.org')
  t.equal(shortened('averylongname@example.org', 15), 'averyl...le.org')
  t.equal(cutOff('averylongname@example.org', 15), 'averylongnam...')
  for (const text of ['山'.repeat(50), `${'a'.repeat(50)}山`, '😀'.repeat(50), 'x'.repeat(320)]) {
    for (let columns = 0; columns < 20; columns++) {
      for (const short of [shortened(text, columns), cutOff(text, columns)]) {
        t.ok(columnsOf(short) <= columns, `${short} in ${columns}`)
        t.ok(short.isWellFormed(), short)
      }
    }
  }
})

t.test('a letter with a thousand accents does not cover other lines', async t => {
  const pile = `a${'\u0301'.repeat(1000)}@example.org`
  t.ok(shortened(pile, 20).length <= 60)
  t.ok(cutOff(pile, 20).length <= 60)
})
