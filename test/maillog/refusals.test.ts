/** Which lines of the log give a message's counts back. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openLedger } from '../../daemon/ledger/ledger.ts'
import { GiveBack, type GiveBackOptions } from '../../daemon/maillog/give-back.ts'
import { lineParser } from '../../daemon/maillog/parser.ts'
import { refusalIn } from '../../daemon/maillog/refusals.ts'
import type { GivenBack } from '../../daemon/policy/ports/ledger.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { virtualClock } from '../support/virtual-clock.ts'

const NOW = Date.UTC(2026, 11, 1)
const parse = lineParser({ now: () => NOW, timezone: 'UTC' })
const fixture = join(import.meta.dirname, '../fixtures/maillog/postfix-3.7.log')
const recorded = readFileSync(fixture, 'utf8').split('\n')

const line = (text: string, program = 'cleanup'): string =>
  `Nov 30 20:41:02 mail postfix/${program}[1]: ${text}`
const REFUSED = line(
  'ABCDEF0123: milter-reject: END-OF-MESSAGE from h[192.0.2.7]: 5.7.1 no; from=<a> to=<b> proto=ESMTP helo=<x>',
)
const AT = Date.UTC(2026, 10, 30, 20, 41, 2)

function why(text: string): string | undefined {
  const record = parse(text)
  return record && refusalIn(record)?.why
}

t.test(
  'a message that is refused as a whole is given back, temporarily refused or not',
  async t => {
    const refused = [
      ['milter-reject: END-OF-MESSAGE from h[192.0.2.7]: 5.7.1 no; from=<a>', 'cleanup'],
      ['milter-reject: END-OF-MESSAGE from h[192.0.2.7]: 4.7.1 later; from=<a>', 'cleanup'],
      ['milter-reject: DATA from h[192.0.2.7]: 451 4.7.1 later; from=<a>', 'smtpd'],
      ['milter-header-reject: header Subject: x from h[192.0.2.7]; from=<a> to=<b>: no', 'cleanup'],
      [
        'reject: header Subject: x from h[192.0.2.7]; from=<a> to=<b> proto=ESMTP helo=<x>: no',
        'cleanup',
      ],
      ['reject: body x from h[192.0.2.7]; from=<a> to=<b> proto=ESMTP helo=<x>: no', 'cleanup'],
      ['reject: mime-error x: y from h[192.0.2.7]; from=<a> to=<b>', 'cleanup'],
      ['reject: END-OF-MESSAGE from h[192.0.2.7]: 554 5.7.1 no; from=<a>', 'smtpd'],
      ['reject: DATA from h[192.0.2.7]: 450 4.7.1 no; from=<a>', 'smtpd'],
      ['canceled', 'smtpd'],
    ]
    for (const [text = '', program] of refused) {
      t.type(why(line(`ABCDEF0123: ${text}`, program)), 'string', text)
    }
  },
)

t.test('what Postfix accepts, one recipient, and what it only warns of stay counted', async t => {
  const counted = [
    [
      'ABCDEF0123: milter-discard: END-OF-MESSAGE from h[192.0.2.7]: milter triggers DISCARD action;',
      'cleanup',
    ],
    [
      'ABCDEF0123: milter-hold: END-OF-MESSAGE from h[192.0.2.7]: milter triggers HOLD action;',
      'cleanup',
    ],
    ['ABCDEF0123: hold: header Subject: x from h[192.0.2.7]; from=<a> to=<b>: no', 'cleanup'],
    ['ABCDEF0123: discard: header Subject: x from h[192.0.2.7]; from=<a> to=<b>: no', 'cleanup'],
    ['ABCDEF0123: warning: header reject: x from h[192.0.2.7]; from=<a> to=<b>: no', 'cleanup'],
    ['ABCDEF0123: reject_warning: END-OF-MESSAGE from h[192.0.2.7]: 554 5.7.1 no;', 'smtpd'],
    ['ABCDEF0123: reject: RCPT from h[192.0.2.7]: 554 5.7.1 no; from=<a> to=<b>', 'smtpd'],
    ['ABCDEF0123: milter-reject: RCPT from h[192.0.2.7]: 554 5.7.1 no; from=<a> to=<b>', 'smtpd'],
    ['NOQUEUE: milter-reject: DATA from h[192.0.2.7]: 554 5.7.1 no; from=<a> to=<b>', 'smtpd'],
    ['proxy-reject: END-OF-MESSAGE: 554 5.7.1 no; from=<a> to=<b>', 'smtpd'],
    ['ABCDEF0123: reject: END-OF-MESSAGE from h[192.0.2.7]: 554 5.7.1 no; from=<a>', 'postscreen'],
    [
      'ABCDEF0123: to=<b>, relay=x, dsn=5.0.0, status=bounced (reject: END-OF-MESSAGE from x)',
      'smtp',
    ],
    ['ABCDEF0123: removed', 'qmgr'],
  ]
  for (const [text = '', program] of counted) t.equal(why(line(text, program)), undefined, text)
})

t.test('of a real log, exactly the refused messages are given back', async t => {
  const given: string[] = []
  const { options } = fake({
    async giveBack(message) {
      if ('queueId' in message) given.push(message.queueId)
      return undefined
    },
  })
  await new GiveBack(options).take(recorded)
  const queued = new Set(recorded.flatMap(one => / (\w+): from=<.*, size=/.exec(one)?.[1] ?? []))
  t.equal(given.length, 24)
  t.notOk(
    given.some(one => queued.has(one)),
    'none of them was queued',
  )
  t.ok(given.includes('4jdbv42YQfzKqQ4'), 'a long queue id, a client with a port')
})

function fake(ledger: Partial<GiveBackOptions['ledger']>): {
  options: GiveBackOptions
  told: string[]
  failures: string[]
} {
  const told: string[] = []
  const failures: string[] = []
  return {
    told,
    failures,
    options: {
      parse,
      ledger: { giveBack: () => undefined, settle: () => undefined, ...ledger },
      since: 0,
      clock: { now: () => NOW, elapsed: () => 0, after: () => () => undefined },
      tell: (message, fields) => void told.push(`${message} ${JSON.stringify(fields)}`),
      failed: message => void failures.push(message),
    },
  }
}

const GIVEN: GivenBack = {
  account: 'alice',
  amounts: [
    { counter: 'SendingLimit', subject: 'alice', amount: 3 },
    { counter: 'Domain', subject: 'example.org', amount: 3 },
  ],
}

t.test('what is given back is made durable, counted and logged, with the reason', async t => {
  const calls: unknown[] = []
  const { options, told } = fake({
    giveBack(...given) {
      calls.push(given)
      return calls.length === 1 ? GIVEN : undefined
    },
    settle: () => void calls.push('settle'),
  })
  const back = new GiveBack(options)
  t.equal(back.messages, 0)
  await back.take([line('ABCDEF0123: message-id=<x>'), REFUSED, REFUSED])
  t.strictSame(calls, [[{ queueId: 'ABCDEF0123' }, AT], [{ queueId: 'ABCDEF0123' }, AT], 'settle'])
  t.equal(back.messages, 1)
  t.strictSame(told, [
    `given back ${JSON.stringify({
      user: 'alice',
      client: '192.0.2.7',
      queue_id: 'ABCDEF0123',
      counts: 'SendingLimit/alice=3 Domain/example.org=3',
      why: 'milter-reject: END-OF-MESSAGE 5.7.1 no',
    })}`,
  ])
  t.equal(back.take([line('ABCDEF0123: removed', 'qmgr')]), undefined, 'nothing to wait for')
  t.equal(calls.length, 3)
})

t.test(
  'counts that cannot be reached are a message, and the next refusal is tried again',
  async t => {
    let isReachable = false
    const { options, failures } = fake({
      giveBack() {
        if (!isReachable) throw new Error('the ledger is not open')
        return GIVEN
      },
    })
    const back = new GiveBack(options)
    await back.take([REFUSED])
    t.match(failures, [/could not give back .*the ledger is not open/])
    isReachable = true
    await back.take([REFUSED])
    t.equal(back.messages, 1)
  },
)

t.test('what was logged long before the daemon started is left alone', async t => {
  let asked = 0
  const { options } = fake({
    giveBack() {
      asked++
      return undefined
    },
  })
  const back = new GiveBack({ ...options, since: AT + 1 })
  await back.take([REFUSED])
  t.equal(asked, 0)
})

t.test('a log of another time zone, without its zone, is of this moment', async t => {
  const times: number[] = []
  const { options } = fake({
    giveBack(_message, at) {
      times.push(at)
      return undefined
    },
  })
  const hour = 3_600_000
  const offsets = [0, 2 * hour, -2 * hour, 5.75 * hour, 20 * 60_000, 3000]
  for (const offset of offsets) {
    const now = AT + offset + 1000
    await new GiveBack({
      ...options,
      since: now - 600_000,
      clock: { ...options.clock, now: () => now },
    }).take([REFUSED])
  }
  t.strictSame(times, [
    AT,
    AT + 2 * hour + 1000,
    AT - 2 * hour + 1000,
    AT + 5.75 * hour + 1000,
    // The one of twenty minutes ago is missing: that is before the daemon started.
    AT,
  ])
})

t.test('a message that is refused before it is complete costs nothing once it is', async t => {
  const clock = virtualClock(AT)
  const judged = new Set<string>()
  const { options, told } = fake({
    giveBack: message =>
      'queueId' in message && judged.delete(message.queueId) ? GIVEN : undefined,
  })
  const back = new GiveBack({ ...options, clock })
  await back.take([
    line('ABCDEF0123: reject: header Subject: x from h[192.0.2.7]; from=<a> to=<b>: no'),
    line('warning: ABCDEF0124: sender_bcc_maps map lookup problem -- message not accepted, try'),
    // The client may say DATA again, and a milter may let it pass then.
    line('ABCDEF0125: milter-reject: DATA from h[192.0.2.7]: 451 4.7.1 later; from=<a>', 'smtpd'),
    line('ABCDEF0126: milter-reject: END-OF-MESSAGE from h[192.0.2.7]: 5.7.1 no; from=<a>'),
  ])
  await clock.advance(10 * 60_000)
  t.strictSame(told, [])
  judged.add('ABCDEF0123').add('ABCDEF0125').add('ABCDEF0126')
  await clock.advance(10 * 60_000)
  t.strictSame([...judged], ['ABCDEF0125', 'ABCDEF0126'])
  t.match(told, [/ABCDEF0123.*Subject: x/])
  await clock.advance(40 * 60_000)
  judged.add('ABCDEF0124')
  await clock.advance(60_000)
  t.equal(back.messages, 1, 'after an hour it is another message')
  t.equal(clock.pending, 0)
})

t.test('the log may have many refusals of mail that nobody counted', async t => {
  const clock = virtualClock(AT)
  let asked = 0
  const { options } = fake({
    giveBack() {
      asked++
      return undefined
    },
  })
  const back = new GiveBack({ ...options, clock })
  const many = Array.from({ length: 5000 }, (_, i) =>
    line(
      `${(0xa000000000 + i).toString(16).toUpperCase()}: reject: body x from local; from=<a>: no`,
    ),
  )
  await back.take(many)
  asked = 0
  await clock.advance(1000)
  t.equal(asked, 100)
  back.stop()
  t.equal(clock.pending, 0)
})

t.test('a message that is counted at DATA and at its end costs nothing in the end', async t => {
  const clock = virtualClock(AT)
  const ledger = openLedger(new MemoryStore())
  const { options } = fake({})
  const back = new GiveBack({ ...options, ledger, clock })
  const claim = {
    counter: 'day',
    subject: 'alice',
    window: { name: '2026-11-30', endsAt: Date.UTC(2026, 11, 1) },
    unit: 'recipients' as const,
    limit: 5,
  }
  const used = () => ledger.used('day', 'alice', claim.window, clock.now())
  const judge = (stage: 'DATA' | 'END-OF-MESSAGE') =>
    ledger.judge({
      account: 'alice',
      stage,
      instance: '7.1.1.0',
      connection: 1,
      service: '192.0.2.1:587',
      recipient: '',
      recipients: 3,
      bytes: 0,
      queueId: 'ABCDEF0123',
      mostRecipients: Number.POSITIVE_INFINITY,
      now: clock.now(),
      claims: [claim],
    })
  judge('DATA')
  await back.take([
    line('ABCDEF0123: reject: header Subject: x from h[192.0.2.7]; from=<a> to=<b>: no'),
  ])
  t.equal(used(), 0)
  await clock.advance(10_000)
  judge('END-OF-MESSAGE')
  t.equal(used(), 3)
  await clock.advance(10_000)
  t.equal(used(), 0)
  back.stop()
})
