/** What a line of Postfix's log says, in every form and version. Most lines are recorded (fixtures/maillog). */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { lineParser, type ParseLine } from '../../daemon/maillog/parser.ts'
import type { MailRecord } from '../../daemon/maillog/record.ts'
import { runs } from '../support/fuzz.ts'

const NOW = Date.UTC(2026, 11, 1)
const parse = lineParser({ now: () => NOW, timezone: 'UTC' })
const recorded = readFileSync(
  join(import.meta.dirname, '../fixtures/maillog/postfix-3.7.log'),
  'utf8',
)
  .split('\n')
  .filter(line => line !== '')

const REJECT =
  '4jdbv42YQfzKqQ4: milter-reject: END-OF-MESSAGE from client.example.net[193.99.144.80]: 5.7.1 Spam; ' +
  'from=<alice@example.org> to=<carol@example.net> proto=ESMTP helo=<client.example.net>'
const AT = Date.UTC(2026, 10, 30, 20, 41, 2)

t.test('a refusal is the same record in every form of a log line', async t => {
  const json = (more: object): string =>
    JSON.stringify({
      __CURSOR: 's=1',
      __REALTIME_TIMESTAMP: String(AT * 1000),
      _HOSTNAME: 'mail',
      SYSLOG_IDENTIFIER: 'postfix-out/cleanup',
      SYSLOG_PID: '123',
      MESSAGE: REJECT,
      ...more,
    })
  const forms = [
    `Nov 30 20:41:02 mail postfix-out/cleanup[123]: ${REJECT}`,
    `<22>Nov 30 20:41:02 mail postfix-out/cleanup[123]: ${REJECT}`,
    `Nov 30 20:41:02 mail postfix-out/cleanup[123]: message repeated 2 times: [ ${REJECT}]`,
    `2026-11-30T20:41:02+00:00 mail postfix-out/cleanup[123]: ${REJECT}`,
    `2026-11-30T21:41:02.000000+01:00 mail postfix-out/cleanup[123]: ${REJECT}`,
    `2026-11-30T15:41:02-0500 mail postfix-out/cleanup[123]: ${REJECT}`,
    `2026-11-30 20:41:02Z mail postfix-out/cleanup[123]: ${REJECT}`,
    `<22>1 2026-11-30T20:41:02Z mail postfix-out/cleanup 123 - - ${REJECT}`,
    `<22>1 2026-11-30T20:41:02Z mail postfix-out/cleanup 123 - - \ufeff${REJECT}`,
    `1 2026-11-30T20:41:02Z mail postfix-out/cleanup 123 - [a b="\\]"][c] ${REJECT}`,
    json({}),
    json({ MESSAGE: [...Buffer.from(REJECT)] }),
    json({ SYSLOG_PID: undefined, _PID: '123' }),
    json({ __REALTIME_TIMESTAMP: '1', _SOURCE_REALTIME_TIMESTAMP: String(AT * 1000) }),
  ]
  for (const line of forms) {
    t.strictSame(
      parse(line),
      {
        at: AT,
        host: 'mail',
        syslogName: 'postfix-out',
        program: 'cleanup',
        pid: 123,
        text: REJECT,
        kind: 'milter-reject',
        queueId: '4jdbv42YQfzKqQ4',
        action: 'milter-reject',
        stage: 'END-OF-MESSAGE',
        clientName: 'client.example.net',
        clientAddress: '193.99.144.80',
        code: '',
        enhancedCode: '5.7.1',
        reason: 'Spam',
        from: 'alice@example.org',
        to: 'carol@example.net',
        protocol: 'ESMTP',
        helo: 'client.example.net',
        saslUsername: '',
      },
      line,
    )
  }
})

t.test('fractions of a second are kept', async t => {
  const at = (line: string): number | undefined => parse(line)?.at
  t.equal(at('2026-11-30T20:41:02.123456+00:00 m postfix/qmgr[1]: x'), AT + 123.456)
  t.equal(at('Nov 30 20:41:02.5 m postfix/qmgr[1]: x'), AT + 500)
})

t.test('any syslog_name, several slashes and no process id are understood', async t => {
  const names = [
    ['postfix/smtpd[1]', 'postfix', 'smtpd'],
    ['postfix/submission/smtpd[1]', 'postfix/submission', 'smtpd'],
    ['postfix-submission/smtpd[1]', 'postfix-submission', 'smtpd'],
    ['mta-out/cleanup[1]', 'mta-out', 'cleanup'],
    ['a/b/c/trivial-rewrite[1]', 'a/b/c', 'trivial-rewrite'],
    ['postfix/cleanup', 'postfix', 'cleanup'],
    ['postfix/some-new-program[1]', 'postfix', 'some-new-program'],
  ]
  for (const [tag = '', syslogName, program] of names) {
    t.match(parse(`Nov 30 20:41:02 mail ${tag}: text`), { syslogName, program, kind: 'other' }, tag)
  }
})

t.test('what no program of Postfix wrote is nothing', async t => {
  const lines = [
    '',
    'Nov 30 20:41:02 mail dovecot: imap-login: Login: user=<a/b>',
    'Nov 30 20:41:02 mail mtpolicyd[1]: user=alice action="reject" /',
    'Nov 30 20:41:02 mail systemd/user[1]: reject: x',
    'Nov 31 20:41:02 mail postfix/smtpd[1]: x',
    'Nov 30 24:41:02 mail postfix/smtpd[1]: x',
    'Now 30 20:41:02 mail postfix/smtpd[1]: x',
    '2026-02-29T20:41:02Z mail postfix/smtpd[1]: x',
    '2026-11-30T20:41:02 mail postfix/smtpd[1]: without a zone',
    ' 30 20:41:02 mail postfix/cleanup[1]: ABCDEF012: milter-reject: cut at its beginning',
    'Nov 30 20:41:02 mail postfix/cle',
    '{"MESSAGE":"cut postfix/',
    '{"SYSLOG_IDENTIFIER":"postfix/smtpd","MESSAGE":"no time"}',
    '[1,"postfix/smtpd"]',
    `Nov 30 20:41:02 mail postfix/smtpd[1]: ${'x'.repeat(20_000)}`,
  ]
  for (const line of lines) t.equal(parse(line), undefined, line.slice(0, 80))
})

interface Row {
  readonly text: string
  readonly is: Partial<Record<string, string | number>>
}

/** Worded as Postfix does, from 3.4 to 3.11; program smtpd. */
const ROWS: readonly Row[] = [
  {
    text: 'NOQUEUE: reject: RCPT from unknown[2001:db8::1]: 554 5.7.1 <b@example.net>: Relay access denied; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x>',
    is: { kind: 'reject', queueId: '', stage: 'RCPT', clientAddress: '2001:db8::1', code: '554' },
  },
  {
    text: 'NOQUEUE: reject: CONNECT from [192.0.2.7]:4567: 550 5.7.1 Service unavailable; proto=SMTP',
    is: { kind: 'reject', stage: 'CONNECT', clientName: '', clientAddress: '192.0.2.7' },
  },
  {
    text: 'ABCDEF0123: reject: END-OF-MESSAGE from h[192.0.2.7]: 554 5.7.1 <END-OF-MESSAGE>: End-of-data rejected: no; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x> sasl_method=PLAIN sasl_username=alice@example.org',
    is: { kind: 'reject', stage: 'END-OF-MESSAGE', helo: 'x', saslUsername: 'alice@example.org' },
  },
  {
    text: 'ABCDEF0123: reject_warning: END-OF-MESSAGE from h[192.0.2.7]: 554 5.7.1 no; from=<a> to=<b> proto=ESMTP helo=<x>',
    is: { kind: 'other', queueId: 'ABCDEF0123' },
  },
  {
    text: 'ABCDEF0123: milter-reject: DATA from h[192.0.2.7]: 550 5.7.1 Command rejected; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x> sasl_username=<alice>',
    is: { kind: 'milter-reject', stage: 'DATA', code: '550', saslUsername: 'alice', helo: 'x' },
  },
  {
    text: 'ABCDEF0123: milter-header-reject: header Subject: x from h[192.0.2.7]; from=<a> to=<b> proto=ESMTP helo=<x>: 5.7.1 no',
    is: { kind: 'reject', action: 'milter-header-reject', stage: 'header', enhancedCode: '5.7.1' },
  },
  {
    text: 'proxy-reject: END-OF-MESSAGE: 554 5.7.0 Reject, id=1; from=<a@example.org> to=<b@example.net> proto=ESMTP helo=<x>',
    is: {
      kind: 'reject',
      queueId: '',
      stage: 'END-OF-MESSAGE',
      code: '554',
      from: 'a@example.org',
    },
  },
  {
    text: 'ABCDEF0123: reject: mime-error message header was too long: X from local; from=<a@example.org> to=<b@example.net>',
    is: { kind: 'reject', stage: 'mime-error', clientAddress: '', from: 'a@example.org' },
  },
  {
    text: 'ABCDEF0123: milter-reject: END-OF-MESSAGE from h[192.0.2.7]: 4.7.1 later; from=<> to=<b> proto=ESMTP helo=<x; from=<y> to=<z>>',
    is: { from: '', to: 'b', helo: 'x; from=<y> to=<z>', enhancedCode: '4.7.1' },
  },
  {
    text: 'warning: ABCDEF0123: virtual_alias_maps map lookup problem for b -- message not accepted, try again later',
    is: {
      kind: 'not-accepted',
      queueId: 'ABCDEF0123',
      reason:
        'virtual_alias_maps map lookup problem for b -- message not accepted, try again later',
    },
  },
  {
    text: 'proxy-reject: END-OF-MESSAGE: 550 5.7.1 no; from=<a> to=<b> proto=ESMTP helo=<x> sasl_username=<alice>',
    is: { kind: 'reject', action: 'proxy-reject', helo: 'x', saslUsername: 'alice' },
  },
  { text: 'ABCDEF0123: canceled', is: { kind: 'canceled', queueId: 'ABCDEF0123' } },
  { text: 'ABCDEF0123: removed', is: { kind: 'removed' } },
  {
    text: 'ABCDEF0123: client=h[192.0.2.7], sasl_method=PLAIN, sasl_username=alice, sasl_sender=b, orig_queue_id=1',
    is: { kind: 'client', clientAddress: '192.0.2.7', saslUsername: 'alice', saslMethod: 'PLAIN' },
  },
  {
    text: 'ABCDEF0123: client=unknown[unknown]:12345',
    is: { kind: 'client', clientName: 'unknown', clientAddress: 'unknown', saslUsername: '' },
  },
  {
    text: 'ABCDEF0123: from=<a@example.org>, size=362, nrcpt=2 (queue active)',
    is: { kind: 'queued', from: 'a@example.org', bytes: 362, recipients: 2 },
  },
  {
    text: 'ABCDEF0123: to=<b@example.net>, orig_to=<c>, relay=mx[192.0.2.1]:25, conn_use=2, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (host mx said: 550 no, status=sent (x))',
    is: { kind: 'delivery', to: 'b@example.net', origTo: 'c', dsn: '5.1.1', status: 'bounced' },
  },
  {
    text: 'ABCDEF0123: to=<b@example.net>, relay=none, delay=1, delays=0/0/0/1, dsn=4.4.1, status=deferred (connect to x)',
    is: { kind: 'delivery', origTo: '', relay: 'none', status: 'deferred', reason: 'connect to x' },
  },
  { text: 'warning: ABCDEF0123: reject: header x', is: { kind: 'other', queueId: '' } },
  { text: 'ABCDEF0123: warning: header reject: x from h[1]', is: { kind: 'other' } },
  { text: 'statistics: max connection rate 1/60s', is: { kind: 'other', queueId: '' } },
  { text: 'improper command pipelining: reject: x', is: { kind: 'other', queueId: '' } },
]

t.test('what each message says is read by its position', async t => {
  for (const { text, is } of ROWS) {
    t.match(parse(`Nov 30 20:41:02 mail postfix/smtpd[1]: ${text}`), is, text)
  }
})

t.test(
  'all that a Postfix 3.7 logged about refused, discarded and held mail is understood',
  async t => {
    const records = recorded.map(line => parse(line))
    t.equal(records.filter(one => one === undefined).length, 0, 'no line is left out')
    const counts = new Map<string, number>()
    for (const record of records) {
      const kind = record?.kind ?? ''
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
    }
    t.strictSame(Object.fromEntries([...counts].toSorted()), {
      client: 47,
      delivery: 17,
      discard: 6,
      hold: 6,
      'milter-reject': 21,
      other: 213,
      queued: 11,
      reject: 9,
      removed: 11,
    })
  },
)

t.test('what a client puts into a subject is not taken for Postfix’s own words', async t => {
  const line = recorded.find(one => one.includes('reject: header') && one.includes('2001:db8::80'))
  t.match(parse(line ?? ''), {
    kind: 'reject',
    stage: 'header',
    clientAddress: '2001:db8::80',
    from: 'alice@example.org',
    to: 'bob@example.net',
    enhancedCode: '5.7.1',
    reason: 'Not such a subject (Subject: header reject from evil[192.0.2.1]; from=<x> to=<y>)',
  })
  const spam = recorded.find(one => one.includes('Spam; from=<nobody>'))
  t.match(parse(spam ?? ''), {
    reason: 'Spam; from=<nobody> is not welcome',
    from: 'alice@example.org',
  })
})

/** The moment of a line without a year and a zone. */
function momentOf(stamp: string, now: string, timezone: string): string | undefined {
  const one = lineParser({ now: () => Date.parse(now), timezone })
  const record = one(`${stamp} mail postfix/smtpd[1]: x`)
  return record && new Date(record.at).toISOString().slice(0, 19)
}

t.test('the year of a line without one is the last that is possible', async t => {
  const moments = [
    ['Dec 31 23:59:59', '2027-01-01T00:00:05Z', '2026-12-31T23:59:59'],
    ['Jan  1 00:00:01', '2026-12-31T23:59:58Z', '2027-01-01T00:00:01'],
    ['Jan  1 00:00:01', '2027-01-01T00:00:01Z', '2027-01-01T00:00:01'],
    ['Mar 20 12:00:00', '2026-03-19T13:00:00Z', '2026-03-20T12:00:00'],
    ['Mar 20 12:00:00', '2026-03-18T12:00:00Z', '2025-03-20T12:00:00'],
    ['Feb 29 12:00:00', '2026-03-01T00:00:00Z', '2024-02-29T12:00:00'],
    ['Feb 29 12:00:00', '2028-02-29T12:00:00Z', '2028-02-29T12:00:00'],
    ['Jun 30 23:59:60', '2026-07-01T00:00:00Z', '2026-07-01T00:00:00'],
  ]
  for (const [stamp = '', now = '', is] of moments) {
    t.equal(momentOf(stamp, now, 'UTC'), is, `${stamp} read at ${now}`)
  }
})

t.test('a line of the hour that a night has twice is of the last that has been', async t => {
  const moments = [
    // Summer time ends at 01:00 UTC: 02:30 is 00:30 UTC and, an hour later, 01:30 UTC.
    ['Oct 25 02:30:00', '2026-10-25T00:30:05Z', 'Europe/Berlin', '2026-10-25T00:30:00'],
    ['Oct 25 02:30:00', '2026-10-25T01:30:05Z', 'Europe/Berlin', '2026-10-25T01:30:00'],
    ['Oct 25 02:58:00', '2026-10-25T01:05:00Z', 'Europe/Berlin', '2026-10-25T00:58:00'],
    ['Oct 25 03:00:00', '2026-10-25T02:00:01Z', 'Europe/Berlin', '2026-10-25T02:00:00'],
    ['Mar 29 03:00:00', '2026-03-29T01:00:01Z', 'Europe/Berlin', '2026-03-29T01:00:00'],
    ['Mar 29 02:30:00', '2026-03-29T01:30:01Z', 'Europe/Berlin', '2026-03-29T01:30:00'],
    ['Apr  4 23:30:00', '2026-04-05T03:30:01Z', 'America/Santiago', '2026-04-05T03:30:00'],
    ['Dec 31 23:59:59', '2026-12-31T23:00:00Z', 'Europe/Berlin', '2026-12-31T22:59:59'],
  ]
  for (const [stamp = '', now = '', zone = '', is] of moments) {
    t.equal(momentOf(stamp, now, zone), is, `${stamp} ${zone} read at ${now}`)
  }
})

t.test('an old log is read in its order, through the night that has an hour twice', async t => {
  const now = Date.parse('2026-10-25T08:00:00Z')
  const read = lineParser({ now: () => now, timezone: 'Europe/Berlin', isReplay: true })
  const hours = ['01:59:00', '02:10:00', '02:59:00', '02:00:01', '02:30:00', '02:30:01', '03:00:00']
  const seen = hours.map(time => {
    const at = read(`Oct 25 ${time} mail postfix/smtpd[1]: x`)?.at ?? 0
    return new Date(at).toISOString().slice(11, 19)
  })
  t.strictSame(seen, [
    '23:59:00',
    '00:10:00',
    '00:59:00',
    '01:00:01',
    '01:30:00',
    '01:30:01',
    '02:00:00',
  ])
})

t.test('the time without a zone is the host’s', async t => {
  const here = lineParser({ now: () => new Date(2026, 10, 30, 21).getTime() })
  t.equal(
    here('Nov 30 20:41:02 mail postfix/smtpd[1]: x')?.at,
    new Date(2026, 10, 30, 20, 41, 2).getTime(),
  )
})

/** A few bytes of a line changed, cut, doubled or replaced by any others. */
function damaged(line: string, random: () => number): string {
  const at = Math.floor(random() * line.length)
  const bytes = String.fromCharCode(...Array.from({ length: 4 }, () => random() * 0x2ff))
  switch (Math.floor(random() * 5)) {
    case 0:
      return line.slice(0, at)
    case 1:
      return line.slice(at)
    case 2:
      return line.slice(0, at) + bytes + line.slice(at + 1)
    case 3:
      return line + line.slice(at).repeat(20)
    default:
      return line.slice(0, at) + line.slice(at + 5)
  }
}

/** Numbers of a test that can be repeated. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return state / 0x80000000
  }
}

t.test('garbage, cut lines and binary data are read without an error', async t => {
  const random = generator(17)
  const rows = ROWS.map(({ text }) => `Nov 30 20:41:02 mail postfix/smtpd[1]: ${text}`)
  const all = [...recorded, ...rows]
  let read = 0
  for (let i = 0; i < runs(20_000); i++) {
    const line = all[Math.floor(random() * all.length)] ?? ''
    const record = parse(damaged(damaged(line, random), random))
    if (record !== undefined && isSound(record)) read++
  }
  t.ok(read > 1000, `${read} of them still say something`)
})

function isSound({ at, program, text }: MailRecord): boolean {
  return Number.isFinite(at) && program !== '' && typeof text === 'string'
}

t.test('a line made to be slow to read is not', async t => {
  const evil: ParseLine = lineParser({ now: () => NOW, timezone: 'UTC' })
  const head = 'Nov 30 20:41:02 mail postfix/cleanup[1]: ABCDEF0123: '
  const parts = [' from ', '; from=<', '> to=<', '[', '>, relay=', ', status=', '\\]', ': ', '<']
  for (const action of [
    'reject: header ',
    'milter-reject: DATA from ',
    'to=<',
    'client=',
    'from=<',
  ]) {
    for (const part of parts) {
      const line = (head + action + part.repeat(16_000)).slice(0, 16_000)
      t.ok(evil(line), `${action}${part}`)
    }
  }
})
