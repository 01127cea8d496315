/** What `--json` and lists of measures print of texts from elsewhere, on a terminal. */

import t from 'tap'
import { jsonText } from '../../daemon/cli/json-text.ts'
import { measureText } from '../../daemon/cli/measure-text.ts'

const HOSTILE = 'a\x9b31m\x7fb\u202ecod.exe\u2066c\u200fd\u2028e'

t.test('JSON has nothing that a terminal obeys, and is the same text', t => {
  const text = jsonText({ [HOSTILE]: HOSTILE })
  t.match(text, /^[\n -~]*$/)
  t.strictSame(JSON.parse(text), { [HOSTILE]: HOSTILE })
  t.equal(jsonText('Käse 日本'), '"Käse 日本"\n')
  t.end()
})

t.test('nor has the reason of a measure', t => {
  const measure = { account: 'alice', kind: 'block', value: '', until: null, by: 'root' } as const
  const text = measureText({ ...measure, at: '2026-12-01T12:00:00.000Z', why: HOSTILE })
  t.match(text, /^[\n -~]*$/)
  t.end()
})
