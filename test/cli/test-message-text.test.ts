/** What `test-message` prints, for what others may have written into it. */

import t from 'tap'
import { testMessageJson, testMessageText } from '../../daemon/cli/test-message-text.ts'
import type { Login } from '../../daemon/diagnosis/submission.ts'
import type { Asked, TestMessage } from '../../daemon/diagnosis/test-message.ts'

const LOGIN: Login = { by: 'password', user: 'alice', password: 'secret' }
const COMMANDS = { allow: [], takeBack: [] }

const ASKED: Asked = {
  attributes: { protocol_state: 'END-OF-MESSAGE', sasl_username: 'alice', stress: '' },
  answer: 'reject 5.7.1 Too much (K3F-9QT)',
  by: 'limit',
  code: 'K3F-9QT',
  why: '',
  observed: '',
  ms: 0.5,
}

const REFUSED: TestMessage = {
  outcome: 'refused',
  problem: '',
  dialogue: [{ command: 'the message', code: 554, text: '5.7.1 Too much (K3F-9QT)' }],
  isEncrypted: true,
  localAddress: '127.0.0.1',
  door: { service: 'submission/inet', host: '127.0.0.1', port: 587, isWrapped: false },
  client: '127.0.0.1',
  sender: 'alice@example.org',
  recipient: 'alice@example.org',
  requests: [ASKED],
  refusedBy: 'daemon',
  queueId: '4ABCDEF012',
  log: {
    source: '/var/log/mail.log',
    lines: ['postfix/smtpd[1]: 4ABCDEF012: reject'],
    problem: '',
  },
}

const shown = (result: TestMessage): string => testMessageText(result, LOGIN, COMMANDS)

t.test('a refusal is shown with what decided, and how to see all of it', async t => {
  t.equal(
    shown(REFUSED),
    `Mail from alice@example.org to alice@example.org
as user alice
through submission/inet at 127.0.0.1:587 (TLS, certificate not verified)

REFUSED by the daemon, at the end of the message:
  554 5.7.1 Too much (K3F-9QT)

Request that arrived at the daemon:
  protocol_state=END-OF-MESSAGE
  sasl_username=alice

Answer of the daemon:
  reject 5.7.1 Too much (K3F-9QT)
  (decided by limit, 0.5 ms)
  all about this decision: mtpolicyctl why K3F-9QT

Logged by Postfix:
  postfix/smtpd[1]: 4ABCDEF012: reject
`,
  )
})

t.test('earlier requests, observe mode and a daemon without an answer are shown', async t => {
  const rcpt = {
    ...ASKED,
    attributes: { protocol_state: 'RCPT' },
    answer: 'dunno',
    by: '',
    code: '',
  }
  const observed = { ...ASKED, answer: 'dunno', code: '', observed: 'reject Too much' }
  const both = shown({ ...REFUSED, outcome: 'accepted', requests: [rcpt, observed] })
  t.match(both, /^Request that arrived at the daemon, after RCPT:$/m)
  t.match(both, /^ {2}observe mode: otherwise reject Too much$/m)
  const gone = shown({ ...REFUSED, requests: [{ ...ASKED, answer: '', why: 'gone' }] })
  t.match(gone, /none: it closed the connection\n {2}\(decided by limit, gone, 0\.5 ms\)/)
})

t.test('a log that cannot be read is named', async t => {
  const source = '/var/log/mail.log'
  const none = shown({ ...REFUSED, log: { source, lines: [], problem: 'permission denied' } })
  t.match(none, /^Logged by Postfix:\n {2}\/var\/log\/mail\.log: permission denied\n$/m)
  const missing = shown({ ...REFUSED, log: { source: '', lines: [], problem: 'found none' } })
  t.match(missing, /^Logged by Postfix:\n {2}found none\n$/m)
})

t.test('words of others cannot control the terminal, and are whole in JSON', async t => {
  const hostile = 'a\u001b[31m\u009b0m\nREFUSED\r\u2028b'
  const result: TestMessage = {
    ...REFUSED,
    sender: `${hostile}@example.org`,
    dialogue: [{ command: `MAIL ${hostile}`, code: 554, text: hostile }],
    requests: [{ ...ASKED, attributes: { helo_name: hostile }, answer: hostile, by: hostile }],
    log: { source: hostile, lines: [hostile], problem: hostile },
  }
  for (const outcome of ['accepted', 'refused', 'unasked', 'failed'] as const) {
    const text = shown({ ...result, outcome, problem: hostile })
    t.notMatch(text, /[^\n\x20-\x7e]/, outcome)
    t.notMatch(text, /^REFUSED$/m, 'nor begin a line of their own')
  }
  const json = JSON.parse(testMessageJson(result, LOGIN))
  t.equal(json.log.lines[0], hostile)
  t.notMatch(testMessageJson(result, LOGIN), 'secret')
})
