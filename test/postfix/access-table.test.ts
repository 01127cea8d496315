/** The results that text tables may return, read as smtpd reads them. */

import fs from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { tableAnswers } from '../../daemon/postfix/smtpd/access-table.ts'

const ROWS: ReadonlyArray<
  readonly [type: string, text: string, answers: readonly string[] | undefined]
> = [
  ['texthash', 'if@example.org OK\nendif DUNNO\n', ['OK', 'DUNNO']],
  ['texthash', '# a remark\nexample.org  REJECT no\n  more\n', ['REJECT no more']],
  ['regexp', '/a@example/!/boss/ OK\n', ['OK']],
  ['regexp', 'if /x/\n/a/ DUNNO\nendif\n', ['DUNNO']],
  ['pcre', 'if !/x/\n!/a\\/b/i REJECT\nendif\n', ['REJECT']],
  ['pcre', '/^(ok)@/ $1\n', undefined],
  ['regexp', '/^(ok)@/ $(1)\n', undefined],
  ['cidr', '! 10.0.0.0/8 OK\n192.0.2.0/24 DUNNO\n', ['OK', 'DUNNO']],
  ['cidr', 'if 10.0.0.0/8\n!10.1.0.0/16 REJECT\nendif\n', ['REJECT']],
]

for (const [type, text, answers] of ROWS) {
  t.test(`${type}: ${JSON.stringify(text)}`, async t => {
    const file = path.join(t.testdir(), 'table')
    fs.writeFileSync(file, text)
    t.strictSame(tableAnswers(`${type}:${file}`)?.answers, answers)
  })
}

t.test('a table that cannot be read, or is queried at run time, may return anything', async t => {
  t.equal(tableAnswers('cidr:/no/such/file'), undefined)
  t.equal(tableAnswers('hash:/etc/postfix/access'), undefined)
  t.strictSame(tableAnswers('static:OK'), { answers: ['OK'], isAlways: true })
})
