/** What the console is told as it happens, and what is found to be wrong. */

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Findings, StatusEvent, VerdictEvent } from '../../daemon/web/api.ts'
import { consoleApi } from '../support/console-api.ts'

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await sleep(10)
}

/** The data of all events of a name. */
function eventsOf<T>(texts: readonly string[], name: string): T[] {
  return texts.flatMap(text => {
    const [, data] = new RegExp(`^event: ${name}\ndata: (.*)\n\n$`).exec(text) ?? []
    return data === undefined ? [] : [JSON.parse(data)]
  })
}

t.test('verdicts are told as they are given, and the status now and then', async t => {
  const console = await consoleApi(t, { variables: { 'mtpolicyd/threshold': '5' } })
  const texts = await console.events()
  await until(() => eventsOf(texts, 'status').length > 0)
  const [first] = eventsOf<StatusEvent>(texts, 'status')
  t.equal(first?.status?.requests, 0)
  // The daemon is followed from some moment on.
  while (eventsOf(texts, 'verdict').length === 0) await console.mail({ recipient_count: '1' })
  const verdicts = eventsOf<VerdictEvent>(texts, 'verdict')
  t.match(verdicts[0], { account: 'alice', client: '192.0.2.7', recipients: 1, isRefused: false })
  const strange = '<script>alert(1)</script>'
  const action = await console.mail({ sasl_username: strange, recipient_count: '6' })
  t.match(action, /^reject /)
  const refused = (): VerdictEvent | undefined =>
    eventsOf<VerdictEvent>(texts, 'verdict').find(one => one.isRefused)
  await until(() => refused() !== undefined)
  t.match(refused(), { account: strange, by: 'limit', code: /^\w{3}-\w{3}$/ })
  await until(() => eventsOf(texts, 'status').length > 1)
  t.ok((eventsOf<StatusEvent>(texts, 'status').at(-1)?.status?.requests ?? 0) > 1)
})

t.test('of many verdicts some are told, and how many were not', async t => {
  const console = await consoleApi(t)
  const texts = await console.events()
  while (eventsOf(texts, 'verdict').length === 0) await console.mail({})
  const before = eventsOf(texts, 'verdict').length
  const many = 300
  await Promise.all(Array.from({ length: many }, () => console.mail({})))
  const left = (): number =>
    eventsOf<StatusEvent>(texts, 'status').reduce((sum, one) => sum + one.left, 0)
  const told = (): number => eventsOf(texts, 'verdict').length - before
  await until(() => left() + told() >= many)
  t.ok(told() < many)
})

t.test('what is wrong is found as doctor finds it, in both languages', async t => {
  const console = await consoleApi(t)
  const english = await console.get<Findings>('findings?lang=en')
  t.equal(english.status, 200)
  t.ok(Array.isArray(english.body.findings))
  const german = await console.get<Findings>('findings?lang=de')
  t.equal(german.body.at, english.body.at, 'looked for once')
  t.strictSame(
    german.body.findings.map(one => one.id),
    english.body.findings.map(one => one.id),
  )
  const text = await console.ctl('doctor', '--json')
  t.ok(english.body.findings.length > 0, text)
  const told = ({ findings }: Findings): string[] =>
    findings.flatMap(({ what, why, remedy }) => [what, why, remedy])
  t.notSame(told(german.body), told(english.body))
})
