/** Mail through a filter before the queue, in the lines that Postfix 3.7 and a mail gateway have logged. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { LeftOut } from '../../daemon/replay/mail-log.ts'
import { readRecords } from '../../daemon/replay/read-records.ts'
import { logFiles } from '../../daemon/replay/rotation.ts'

interface Found {
  /** Account, recipients, bytes and queue id. */
  readonly messages: readonly (readonly (string | undefined)[])[]
  readonly leftOut: LeftOut | undefined
}

function find(t: Test, lines: readonly string[]): Promise<Found> {
  const path = join(t.testdir(), 'log')
  writeFileSync(path, lines.map(line => `Dec 01 11:22:15 mail postfix/${line}\n`).join(''))
  return findIn(t, path)
}

async function findIn(t: Test, path: string): Promise<Found> {
  const messages: (string | undefined)[][] = []
  let leftOut: LeftOut | undefined
  for await (const portion of readRecords({
    files: await logFiles([path], Date.now()),
    damaged: (_, why) => t.fail(why),
    unreadable: (_, why) => t.fail(why),
    recognized: () => undefined,
    leftOut: some => {
      leftOut = some
    },
  })) {
    for (const { attributes } of portion) {
      const names = ['sasl_username', 'recipient_count', 'size', 'queue_id']
      messages.push(names.map(name => attributes.get(name)))
    }
  }
  return { messages, leftOut }
}

const BEGUN =
  'submission/smtpd[15006]: NOQUEUE: client=c.example.net[198.51.100.7], sasl_method=PLAIN, sasl_username=alice'
const BEHIND = 'reinject/smtpd[15011]: A3AA020C20B: client=localhost[127.0.0.1]'
const ACCEPTED =
  'submission/smtpd[15006]: proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as A3AA020C20B; from=<alice@example.org> to=<a@example.net> proto=ESMTP helo=<c> sasl_username=<alice>'
const QUEUED =
  'qmgr[15003]: A3AA020C20B: from=<alice@example.org>, size=449, nrcpt=3 (queue active)'
const MESSAGE = [['alice', '3', '449', 'A3AA020C20B']]

t.test('a message is its user’s, whether the filter or the queue manager logs first', async t => {
  const filterFirst = await find(t, [BEGUN, BEHIND, ACCEPTED, QUEUED])
  const queueFirst = await find(t, [BEGUN, BEHIND, QUEUED, ACCEPTED])
  t.strictSame(filterFirst.messages, MESSAGE)
  t.strictSame(queueFirst.messages, MESSAGE)
  for (const { leftOut } of [filterFirst, queueFirst]) {
    t.strictSame(leftOut, { withoutLogin: 0, unaccepted: 0, unnamed: 0 })
  }
})

t.test('of a real log, each message is there once', async t => {
  const file = '../fixtures/maillog/postfix-3.7-proxy.log'
  const { messages, leftOut } = await findIn(t, join(import.meta.dirname, file))
  t.strictSame(
    messages.map(([account, recipients]) => [account, recipients]),
    [
      ['alice@mail.example.org', '3'],
      ['bob@mail.example.org', '1'],
    ],
  )
  t.strictSame(leftOut, { withoutLogin: 0, unaccepted: 0, unnamed: 0 })
})

t.test('a filter that names itself in front of the answer is understood', async t => {
  const accepted = ACCEPTED.replace(
    '250 2.0.0 Ok',
    '250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok',
  )
  const client = `${BEHIND}, orig_client=c.example.net[198.51.100.7]`
  t.strictSame((await find(t, [BEGUN, client, accepted, QUEUED])).messages, MESSAGE)
})

t.test('a filter that passes the login on does not double its mail', async t => {
  const client = `${BEHIND}, sasl_method=PLAIN, sasl_username=alice`
  for (const lines of [
    [BEGUN, client, ACCEPTED, QUEUED],
    [BEGUN, client, QUEUED, ACCEPTED],
  ]) {
    // It is tried again later.
    const { messages, leftOut } = await find(t, [...lines, QUEUED])
    t.strictSame(messages, MESSAGE)
    t.strictSame(leftOut, { withoutLogin: 0, unaccepted: 0, unnamed: 0 })
  }
})

t.test('messages whose queue ids the filter does not tell are numbered', async t => {
  const accepted = ACCEPTED.replace('Ok: queued as A3AA020C20B', 'OK (2C225C6817C7EEE1481)')
  const { messages, leftOut } = await find(t, [BEGUN, BEHIND, accepted, QUEUED])
  t.strictSame(messages, [])
  t.strictSame(leftOut, { withoutLogin: 1, unaccepted: 0, unnamed: 1 })
})

t.test('a sender who writes like a filter gets no other message', async t => {
  const evil =
    'smtpd[15020]: proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as B3AA020C20B; from=<"queued as A3AA020C20B; from=<x> sasl_username=<bob>"@d> to=<a@b> proto=ESMTP helo=<c> sasl_username=<eve>'
  const begun = BEGUN.replace('15006', '15020').replace('alice', 'eve')
  const own = QUEUED.replace('A3AA', 'B3AA').replace('nrcpt=3', 'nrcpt=2')
  const { messages } = await find(t, [BEGUN, begun, BEHIND, evil, QUEUED, own, ACCEPTED])
  t.strictSame(messages.toSorted(), [
    ['alice', '3', '449', 'A3AA020C20B'],
    ['eve', '2', '449', 'B3AA020C20B'],
  ])
})

t.test('mail that a filter after the queue gives back is not counted twice', async t => {
  const { messages, leftOut } = await find(t, [
    'smtpd[1]: A3AA020C20B: client=c[198.51.100.7], sasl_method=PLAIN, sasl_username=alice',
    QUEUED,
    'reinject/smtpd[2]: B3AA020C20B: client=localhost[127.0.0.1], orig_queue_id=A3AA020C20B, orig_client=c[198.51.100.7]',
    QUEUED.replace('A3AA', 'B3AA'),
    // Tried again.
    QUEUED,
    QUEUED.replace('A3AA', 'B3AA'),
  ])
  t.strictSame(messages, MESSAGE)
  t.strictSame(leftOut, { withoutLogin: 1, unaccepted: 0, unnamed: 0 })
})

t.test('mail of users that was refused, or is held, is numbered', async t => {
  const { messages, leftOut } = await find(t, [
    'smtpd[1]: A3AA020C20B: client=c[198.51.100.7], sasl_method=PLAIN, sasl_username=alice',
    'cleanup[2]: A3AA020C20B: milter-hold: END-OF-MESSAGE from c[198.51.100.7]: milter triggers HOLD action; from=<a@b> to=<c@d> proto=ESMTP helo=<x>',
  ])
  t.strictSame(messages, [])
  t.strictSame(leftOut, { withoutLogin: 0, unaccepted: 1, unnamed: 0 })
})
