/** What status and doctor say about the console. */

import t from 'tap'
import type { DaemonStatus, WebStatus } from '../../daemon/control/protocol.ts'
import { webFindings } from '../../daemon/control/web-findings.ts'
import type { WebSettings } from '../../daemon/run/web-messages.ts'
import { addressOf } from '../../daemon/web/listening.ts'

/** They look at nothing else. */
const found = (web: WebStatus | undefined): readonly string[] =>
  webFindings({ web } as DaemonStatus).map(({ id }) => id)

const listeningAt = (settings: Partial<WebSettings>): readonly string[] => {
  const given: WebSettings = { port: 8025, host: 'localhost', path: '', names: [], ...settings }
  return found({ state: 'listening', address: `${addressOf(given)}${given.path}` })
}

t.test('a console that listens nowhere, or without encryption, needs a look', async t => {
  t.strictSame(found(undefined), [], 'an older daemon')
  t.strictSame(found({ state: 'off', address: '' }), [])
  t.strictSame(found({ state: 'failed', address: '', problem: 'in use' }), ['web-failing'])
  t.strictSame(listeningAt({}), [])
  t.strictSame(listeningAt({ host: '127.0.0.1' }), [])
  t.strictSame(listeningAt({ host: '::1' }), [])
  t.strictSame(listeningAt({ host: '/run/web.sock' }), [])
  t.strictSame(listeningAt({ host: '192.0.2.1' }), ['web-unencrypted'])
  t.strictSame(listeningAt({ host: '2001:db8::1' }), ['web-unencrypted'])
  t.strictSame(listeningAt({ host: '192.0.2.1', names: ['console.example.org'] }), [])
})
