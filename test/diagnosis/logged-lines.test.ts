/** What is found of one mail in Postfix's log, among the lines of others. */

import { chmodSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import t, { type Test } from 'tap'
import { loggedLines, type SentMail } from '../../daemon/diagnosis/logged-lines.ts'

const NOW = Date.now()
const at = (milliseconds: number): string => new Date(milliseconds).toISOString()
const line = (text: string, when = NOW): string => `${at(when)} mail postfix/${text}`
const NOWHERE = { files: [], journals: [] }

const MAIL: SentMail = {
  outcome: 'accepted',
  queueId: '4ABCDEF012',
  sender: 'alice@example.org',
  recipient: 'bob@example.net',
  client: '203.0.113.9',
  localAddress: '127.0.0.1',
  since: NOW,
}

const CLIENT = line('smtpd[7]: 4ABCDEF012: client=unknown[203.0.113.9], sasl_username=alice')
const SENT = line('smtp[9]: 4ABCDEF012: to=<bob@example.net>, relay=x, dsn=2.0.0, status=sent (ok)')

function find(t: Test, lines: readonly string[], mail: Partial<SentMail> = {}) {
  const source = join(t.testdir({ 'mail.log': `${lines.join('\n')}\n` }), 'mail.log')
  return loggedLines({ ...MAIL, ...mail }, source, NOWHERE)
}

t.test('a mail that was accepted has all lines with its queue id, up to its delivery', async t => {
  const { lines, problem } = await find(t, [
    line('smtpd[7]: 4ABCDEF012: client=unknown[192.0.2.1]', NOW - 3_600_000),
    CLIENT,
    line('smtpd[8]: 4FFFFFF012: client=unknown[203.0.113.9], sasl_username=alice'),
    line('cleanup[3]: 4ABCDEF012: message-id=<a@example.org>'),
    SENT,
  ])
  t.strictSame(lines, [CLIENT, line('cleanup[3]: 4ABCDEF012: message-id=<a@example.org>'), SENT])
  t.equal(problem, '')
})

t.test('a mail that was refused before it had a queue id is known by its addresses', async t => {
  const reject = (client: string, to: string): string =>
    line(
      `smtpd[7]: NOQUEUE: reject: RCPT from unknown[${client}]: 554 5.7.1 no; from=<alice@example.org> to=<${to}> proto=ESMTP helo=<x>`,
    )
  const own = reject('203.0.113.9', 'bob@example.net')
  const { lines } = await find(
    t,
    [reject('192.0.2.1', 'bob@example.net'), reject('203.0.113.9', 'eve@example.net'), own],
    { outcome: 'refused', queueId: '' },
  )
  t.strictSame(lines, [own])
})

t.test('a login that failed is known by the process that spoke with this host', async t => {
  const own = line('smtpd[7]: warning: SASL: Connect to private/auth failed: No such file')
  const { lines } = await find(
    t,
    [
      line('smtpd[8]: warning: unknown[192.0.2.1]: SASL PLAIN authentication failed'),
      line('smtpd[7]: connect from localhost[127.0.0.1]'),
      own,
    ],
    { outcome: 'failed', queueId: '' },
  )
  t.strictSame(lines, [own])
})

t.test('a log that cannot be read, or that nobody has, is named', async t => {
  const source = join(t.testdir({}), 'mail.log')
  t.match(await loggedLines(MAIL, source, NOWHERE), { source, lines: [], problem: /no such file/ })
  t.match(await loggedLines(MAIL, '', { files: [source], journals: [] }), {
    source: '',
    lines: [],
    problem: /found none of/,
  })
})

t.test('the journal is read like a file', async t => {
  const entry = {
    __REALTIME_TIMESTAMP: String(NOW * 1000),
    _HOSTNAME: 'mail',
    SYSLOG_IDENTIFIER: 'postfix/submission/smtp',
    _PID: '9',
    MESSAGE: SENT.slice(SENT.indexOf('4ABC')),
  }
  const folder = t.testdir({ 'entry.json': `${JSON.stringify(entry)}\n` })
  const journalctl = join(folder, 'journalctl')
  writeFileSync(journalctl, `#!/bin/sh\ncat ${folder}/entry.json\nexec sleep 60\n`)
  chmodSync(journalctl, 0o755)
  const path = process.env.PATH
  process.env.PATH = `${folder}${delimiter}${path}`
  t.teardown(() => {
    process.env.PATH = path
  })
  t.strictSame(await loggedLines(MAIL, 'journal', NOWHERE), {
    source: 'journal',
    lines: [`postfix/submission/smtp[9]: ${entry.MESSAGE}`],
    problem: '',
  })
})
