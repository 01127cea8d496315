/** Many connections at once, judged by three limits together: exactly what the tightest lets through passes. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type CounterQuery, countedIn } from '../support/counted.ts'
import { type InstalledDaemon, installDaemon } from '../support/daemon.ts'
import { type PolicyClient, policyClient, requestText } from '../support/policy-client.ts'

const CONNECTIONS = 100
const USER = 'alice@example.org'

interface Limits {
  readonly user: number
  readonly domain: number
  readonly server: number
}

/** Each of them is the tightest once, wherever it stands. */
const TIGHTEST: readonly Limits[] = [
  { user: 40, domain: 50, server: 60 },
  { user: 60, domain: 40, server: 50 },
  { user: 50, domain: 60, server: 40 },
  { user: 40, domain: 40, server: 40 },
]

const WINDOWS: readonly Omit<CounterQuery, 'since'>[] = [
  { counter: 'user', window: 'day', subjects: [USER] },
  { counter: 'domain', window: { milliseconds: 3_600_000 }, subjects: ['example.org'] },
  { counter: 'server', window: { milliseconds: 1_800_000 }, subjects: [''] },
]

async function startWith(t: Test, limits: Limits, durability = 'normal'): Promise<InstalledDaemon> {
  const daemon = await installDaemon()
  t.teardown(() => daemon.remove())
  const block = (name: keyof Limits, lines: string): string =>
    `<Plugin ${name}>\nmodule = SendingLimit\nthreshold = ${limits[name]}\n${lines}\n</Plugin>\n`
  writeFileSync(
    join(daemon.root, 'etc/univention-mtpolicyd/mtpolicyd.conf'),
    `port = "127.0.0.1:${daemon.port}"
durability = ${durability}
<VirtualHost ${daemon.port}>
name = submission
${block('user', 'per = user')}
${block('domain', 'per = domain\nwindow = 1h')}
${block('server', 'per = server\nwindow = 30m')}
</VirtualHost>\n`,
  )
  await daemon.start()
  return daemon
}

/** What each window has in the end; the daemon is stopped for it. */
async function countsOf(daemon: InstalledDaemon, since: number): Promise<number[]> {
  await daemon.stop()
  const ledger = join(daemon.root, 'var/lib/univention-mtpolicyd/ledger.sqlite')
  return WINDOWS.flatMap(window => [...countedIn(ledger, { ...window, since }).values()])
}

/** All have connected before one of them asks. */
const connectAll = (port: number): Promise<PolicyClient[]> =>
  Promise.all(Array.from({ length: CONNECTIONS }, () => policyClient({ port })))

function request(stage: string, instance: string, more: Readonly<Record<string, string | number>>) {
  return requestText({
    request: 'smtpd_access_policy',
    protocol_state: stage,
    instance,
    sasl_username: USER,
    server_address: '192.0.2.25',
    server_port: 587,
    ...more,
  })
}

async function passes(client: PolicyClient): Promise<boolean> {
  return (await client.answer()) === 'action=dunno'
}

for (const limits of TIGHTEST) {
  const title = Object.entries(limits).flat().join(' ')
  const tightest = Math.min(...Object.values(limits))

  t.test(`at END-OF-MESSAGE, with ${title}`, async t => {
    const since = Date.now()
    const daemon = await startWith(t, limits)
    const clients = await connectAll(daemon.port)
    const verdicts = await Promise.all(
      clients.map((client, i) => {
        client.send(request('END-OF-MESSAGE', `eom.${i}`, { recipient_count: 1, size: 1000 }))
        return passes(client)
      }),
    )
    t.equal(verdicts.filter(Boolean).length, tightest)
    for (const client of clients) client.close()
    t.strictSame(await countsOf(daemon, since), [tightest, tightest, tightest])
  })

  t.test(`at RCPT, then at END-OF-MESSAGE, with ${title}`, async t => {
    const since = Date.now()
    const daemon = await startWith(t, limits)
    const clients = await connectAll(daemon.port)
    const taken = await Promise.all(
      clients.map(async (client, i) => {
        const recipients = [0, 1, 2].map(number => `to${number}@example.net`)
        // Three at once, as no smtpd does: each is answered in its turn.
        for (const recipient of recipients) client.send(request('RCPT', `rcpt.${i}`, { recipient }))
        let count = 0
        for (const _ of recipients) if (await passes(client)) count++
        return count
      }),
    )
    const sum = taken.reduce((all, count) => all + count, 0)
    t.equal(sum, tightest, 'so many recipients are reserved')
    const verdicts = await Promise.all(
      clients.map((client, i) => {
        const count = taken[i] ?? 0
        if (count === 0) return true
        client.send(request('END-OF-MESSAGE', `rcpt.${i}`, { recipient_count: count, size: 1000 }))
        return passes(client)
      }),
    )
    t.notOk(verdicts.includes(false), 'what was reserved is counted')
    for (const client of clients) client.close()
    t.strictSame(await countsOf(daemon, since), [tightest, tightest, tightest])
  })
}

t.test('messages of several recipients fill the tightest as far as they fit', async t => {
  const since = Date.now()
  const daemon = await startWith(t, { user: 60, domain: 40, server: 50 }, 'full')
  const clients = await connectAll(daemon.port)
  const counts = clients.map((_, i) => 1 + (i % 4))
  const verdicts = await Promise.all(
    clients.map((client, i) => {
      const count = counts[i] ?? 0
      client.send(request('END-OF-MESSAGE', `many.${i}`, { recipient_count: count, size: 1000 }))
      return passes(client)
    }),
  )
  const passed = counts.reduce((sum, count, i) => sum + (verdicts[i] ? count : 0), 0)
  t.equal(passed, 40, 'those with one recipient fill the rest')
  const again = await Promise.all(
    clients.map((client, i) => {
      const count = counts[i] ?? 0
      client.send(request('END-OF-MESSAGE', `many.${i}`, { recipient_count: count, size: 1000 }))
      return passes(client)
    }),
  )
  t.strictSame(again, verdicts, 'asked again, each has its verdict')
  for (const client of clients) client.close()
  t.strictSame(await countsOf(daemon, since), [40, 40, 40])
})
