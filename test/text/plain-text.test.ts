/** Files that people write may begin with a byte order mark and have CR LF at their ends of lines. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openOutside } from '../../daemon/assembly/outside.ts'
import { parseConfig } from '../../daemon/config/parser.ts'
import { countryPool } from '../../daemon/lookup/country-pool.ts'
import { openTable } from '../../daemon/lookup/table.ts'
import { formatProblem } from '../../daemon/policy/problem.ts'
import { parseDescriptions } from '../../daemon/registry/descriptions.ts'
import { parseLayer } from '../../daemon/registry/layers.ts'
import { findTemplates } from '../../daemon/registry/template-files.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { plainText } from '../../daemon/text/plain-text.ts'

const folder = mkdtempSync(join(tmpdir(), 'plain-text-'))
t.teardown(() => rmSync(folder, { recursive: true }))

/** As an editor of another system stores it. */
const foreign = (text: string): string => `\uFEFF${text.replaceAll('\n', '\r\n')}`

function written(name: string, text: string): string {
  const file = join(folder, name)
  writeFileSync(file, foreign(text))
  return file
}

t.test('a file that was converted twice, and a last line without its end', async t => {
  t.equal(plainText('a\r\r\nb\r\n\r\nc\r'), 'a\nb\n\nc\r')
  t.equal(plainText('a\rb'), 'a\rb', 'what has no such ends stays as it is')
})

t.test('a configuration, and what it includes', async t => {
  const files: Record<string, string> = {
    'main.conf': `on_failure = defer
port = 12345, \\
  12346
<<include other.conf>>
<VirtualHost 12345>
name = <<END
  several
  lines
  END
</VirtualHost>
`,
    'other.conf': 'log_level = 3\nmode = "observe"\n',
  }
  const read = (change: (text: string) => string) =>
    parseConfig('main.conf', {
      read(path) {
        const text = files[path]
        if (text === undefined) throw Object.assign(new Error(path), { code: 'ENOENT' })
        return change(text)
      },
      list: () => [],
    })
  const usual = read(text => text)
  const other = read(foreign)
  t.strictSame(usual.problems.map(formatProblem), [])
  t.strictSame(other.problems.map(formatProblem), [])
  t.strictSame(other.root, usual.root)
})

t.test('what a plugin reads, and a table of Postfix’s as text', async t => {
  const list = written('list', '^dsl-\n# comment\n\\.dyn\\.\n')
  const outside = openOutside({
    clock: systemClock,
    dns: {
      ask: () => ({ outcome: 'empty', records: [], exists: false }),
      noListing: () => undefined,
    },
    countries: countryPool(() => undefined),
    countryFile: '',
  })
  t.teardown(() => outside.close())
  t.equal(outside.readFile(list), '^dsl-\n# comment\n\\.dyn\\.\n')
  const table = openTable(
    `texthash:${written('table', 'first.example OK\nsecond.example\n  REJECT no\n')}`,
  )
  t.equal(await table.get('first.example'), 'OK')
  t.equal(await table.get('second.example'), 'REJECT no')
})

t.test('host variables, their descriptions, and templates', async t => {
  t.strictSame(
    [...parseLayer(foreign('mtpolicyd/port: 12345\nmtpolicyd/host: localhost\n'))],
    [
      ['mtpolicyd/port', '12345'],
      ['mtpolicyd/host', 'localhost'],
    ],
  )
  t.match(parseDescriptions(foreign('[a/b]\nDescription[en]=Text\nType=int\n')), [
    { name: 'a/b', type: 'int' },
  ])
  mkdirSync(join(folder, 'templates'))
  written('templates/a.conf.hbs', 'one\ntwo\n')
  t.match(findTemplates(join(folder, 'templates'), '/'), [{ source: 'one\ntwo\n' }])
})

t.test('nothing else is changed', async t => {
  for (const text of ['', 'a', 'a\nb\n', 'a\rb', 'a\uFEFFb', '\r', '\n\r']) {
    t.equal(plainText(text), text, JSON.stringify(text))
  }
})
