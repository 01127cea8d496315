/** Where Postfix logs, found without asking. */

import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { findMailLog } from '../../daemon/maillog/source.ts'

const DAY = 86_400_000

t.test('a log that is in use comes before the journal, and that before one left over', async t => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'source-'))
  t.teardown(() => fs.rmSync(folder, { recursive: true }))
  const [first = '', second = ''] = ['mail.log', 'maillog'].map(name => join(folder, name))
  const journals = [join(folder, 'journal')]
  const find = (now = Date.now(), of = journals) =>
    findMailLog({ files: [first, second], journals: of }, now)

  t.match(await find(), { source: '', problem: /^found none of .*mail\.log, .* the journal/ })
  t.notMatch(await find(Date.now(), []), { problem: /the journal/ })

  fs.mkdirSync(join(folder, 'journal/0123'), { recursive: true })
  t.match(await find(), { source: '' }, 'an empty folder is no journal')
  fs.writeFileSync(join(folder, 'journal/0123/system.journal'), '')
  t.strictSame(await find(), { source: 'journal' })

  fs.mkdirSync(first)
  t.strictSame(await find(), { source: 'journal' }, 'a folder is no log')
  fs.writeFileSync(second, '')
  t.strictSame(await find(), { source: second })
  fs.rmdirSync(first)
  fs.writeFileSync(first, '')
  t.strictSame(await find(), { source: first })
  t.strictSame(await find(Date.now() + 2 * DAY), { source: 'journal' })
  t.strictSame(await find(Date.now() + 2 * DAY, []), { source: first })
})
