/** Sums of hours become a plot that has no more steps than a screen. */

import t from 'tap'
import { unifiedDiff } from '../../daemon/web/diff.ts'
import { KeptAnswers } from '../../daemon/web/kept-answers.ts'
import { plotOf } from '../../daemon/web/plot.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const ones = (count: number): number[] => Array.from({ length: count }, () => 1)
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

t.test('a day has its hours', async t => {
  const first = 5 * DAY
  const hours = { first, messages: [1, 0, 2], recipients: [3, 0, 4], refused: [0, 5, 0] }
  t.strictSame(plotOf(hours), {
    step: HOUR,
    times: [first, first + HOUR, first + 2 * HOUR],
    messages: [1, 0, 2],
    recipients: [3, 0, 4],
    refused: [0, 5, 0],
  })
})

t.test('a year has steps of six hours, of which nothing is lost', async t => {
  const count = 366 * 24
  // In the middle of a step.
  const first = 5 * DAY + HOUR
  const columns = { messages: ones(count), recipients: ones(count), refused: ones(count) }
  const plot = plotOf({ first, ...columns })
  t.equal(plot.step, 6 * HOUR)
  t.equal(plot.times[0], 5 * DAY)
  t.equal(plot.times.length, plot.messages.length)
  t.ok(plot.times.length <= 2001)
  t.equal(sum(plot.messages), count)
  t.equal(plot.messages[0], 5)
  t.ok(plot.messages.every(Number.isFinite))
})

t.test('a diff is one that patch(1) understands, also of a file that is new', async t => {
  t.equal(
    unifiedDiff('/etc/x', 'a\nb\nc\n', 'a\nB\nc\n'),
    '--- /etc/x\n+++ /etc/x\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n',
  )
  t.equal(
    unifiedDiff('/etc/x', undefined, 'a\n'),
    '--- /dev/null\n+++ /etc/x\n@@ -0,0 +1,1 @@\n+a\n',
  )
  const many = (prefix: string): string =>
    Array.from({ length: 6000 }, (_, line) => `${prefix}${line}\n`).join('')
  const large = unifiedDiff('/etc/x', many('a'), many('b')).split('\n')
  t.equal(large.filter(line => line.startsWith('-a')).length, 6000)
  t.equal(large.filter(line => line.startsWith('+b')).length, 6000)
})

t.test('what many ask for is made once, but a failure is tried again', async t => {
  let now = 0
  let made = 0
  const kept = new KeptAnswers<number>({ now: () => now }, 1000)
  const make = async (): Promise<number> => ++made
  t.strictSame(await Promise.all([kept.get('', make), kept.get('', make)]), [1, 1])
  now = 999
  t.equal(await kept.get('', make), 1)
  t.equal(await kept.get('other', make), 2)
  now = 1000
  t.equal(await kept.get('', make), 3)
  const fail = async (): Promise<number> => {
    throw new Error('not now')
  }
  await t.rejects(kept.get('failing', fail), /not now/)
  t.equal(await kept.get('failing', make), 4)
  for (let key = 0; key < 100; key++) await kept.get(String(key), make)
  const before = made
  await kept.get('0', make)
  t.equal(made, before + 1, 'and not everything is remembered')
})
