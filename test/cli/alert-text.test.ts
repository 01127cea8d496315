/** What `mtpolicyctl alert list` prints of an alert. */

import t from 'tap'
import { alertText } from '../../daemon/cli/alert-text.ts'
import { alertOf } from '../support/alerts.ts'

t.test('a command can be copied as one line, however long it is', async t => {
  const name = `${'very-long-name.'.repeat(4)}eve@example.org`
  const remedy = `mtpolicyctl user ${name}; if it is not the user: mtpolicyctl block ${name}`
  const alert = { ...alertOf({ remedy: { en: remedy, de: remedy } }), waitsFor: ['mail'] }
  const text = alertText(alert, 'en')
  t.match(text, /^\S+ \d\d:\d\d {2}alice@example\.org has used/)
  const lines = text.split('\n').map(line => line.trim())
  t.ok(lines.includes(`mtpolicyctl user ${name}`))
  t.ok(lines.includes('if it is not the user:'))
  t.ok(lines.includes(`mtpolicyctl block ${name}`))
  t.ok(lines.includes('(not yet told by mail)'))
})

t.test('what is over needs no remedy', async t => {
  const alert = { ...alertOf({ state: 'cleared' }), waitsFor: [] }
  t.notMatch(alertText(alert, 'de'), 'mtpolicyctl')
  t.match(alertText(alert, 'de'), 'nicht mehr: alice@example.org hat 160')
})
