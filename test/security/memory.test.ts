/**
 * A client that invents names by the thousand fills no memory: what is kept for each is
 * small, and what is kept in all has an end. MEMORY=20 is more than a million names.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type InstalledDaemon, installDaemon } from '../support/daemon.ts'
import { startDnsServer } from '../support/dns-server.ts'
import { policyClient } from '../support/policy-client.ts'

const MANY = 60_000 * Number(process.env.MEMORY ?? 1)
const MEGABYTE = 1024
/** What Node takes its time to give back, with all that is to be kept. */
const MOST_AT_WORK = 400
const REST_MILLISECONDS = 60_000

// One after the other would take long, two at a time would tell nothing.
t.setTimeout(120_000 + 120_000 * Number(process.env.MEMORY ?? 1))

function residentMegabytes({ pid }: InstalledDaemon): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / MEGABYTE)
}

async function started(t: Test, variables: Readonly<Record<string, string>>, conf?: string) {
  const daemon = await installDaemon({ 'mtpolicyd/debug': '0', ...variables })
  t.teardown(() => daemon.remove())
  if (conf !== undefined) {
    const text = conf.replaceAll('PORT', String(daemon.port))
    writeFileSync(join(daemon.root, 'etc/univention-mtpolicyd/mtpolicyd.conf'), text)
  }
  await daemon.start()
  return daemon
}

const COMMON =
  'request=smtpd_access_policy\nclient_address=192.0.2.1\nsender=someone@example.org\n' +
  'queue_id=4FXyz\nsize=12345\nserver_address=192.0.2.9\nserver_port=587\n'

interface Flood {
  readonly count: number
  /** Requests under way. */
  readonly atOnce?: number
  readonly request: (number: number) => string
}

/** Asks so often; the most memory seen. */
async function flood(daemon: InstalledDaemon, { count, atOnce = 400, request }: Flood) {
  const client = await policyClient({ port: daemon.port })
  let most = 0
  for (let number = 0; number < count; number += atOnce) {
    let text = ''
    const upTo = Math.min(atOnce, count - number)
    for (let i = 0; i < upTo; i++) text += `${COMMON}${request(number + i)}\n`
    client.send(text)
    for (let i = 0; i < upTo; i++) await client.answer()
    if (number % (50 * atOnce) === 0) most = Math.max(most, residentMegabytes(daemon))
  }
  client.close()
  return Math.max(most, residentMegabytes(daemon))
}

t.test('as many user names as one likes', async t => {
  const daemon = await started(t, { 'mtpolicyd/threshold': '5' })
  const before = residentMegabytes(daemon)
  const most = await flood(daemon, {
    count: MANY,
    request: number =>
      `protocol_state=END-OF-MESSAGE\ninstance=4d2b.6553f1a2.${number}.0\nrecipient_count=1\n` +
      `sasl_username=invented-name-${number}@example.org\nhelo_name=host${number}.example\n`,
  })
  t.ok(most < MOST_AT_WORK, `${before} MB before, ${most} MB`)
  if (process.env.MEMORY !== undefined) {
    const until = Date.now() + REST_MILLISECONDS
    while (residentMegabytes(daemon) > 250 && Date.now() < until) await sleep(1000)
    t.ok(residentMegabytes(daemon) <= 250, `comes to rest at ${residentMegabytes(daemon)} MB`)
  }
})

t.test('names of 10,000 bytes, each another', async t => {
  const daemon = await started(t, { 'mtpolicyd/threshold': '5' })
  const before = residentMegabytes(daemon)
  const most = await flood(daemon, {
    count: 8000,
    atOnce: 50,
    request: number =>
      `protocol_state=END-OF-MESSAGE\ninstance=4d2b.6553f1a2.${number}.0\n` +
      `sasl_username=${`${number}-`.padEnd(10_000, 'x')}\n`,
  })
  t.ok(most - before < 120, `80 MB of names: ${before} MB before, ${most} MB`)
})

t.test('a mail that is remembered is not kept whole', async t => {
  const daemon = await started(t, { 'mtpolicyd/threshold': '5' })
  const before = residentMegabytes(daemon)
  for (const state of ['END-OF-MESSAGE', 'RCPT']) {
    const most = await flood(daemon, {
      count: 2000,
      atOnce: 20,
      request: number =>
        `protocol_state=${state}\ninstance=4d2b.${state}.${number}.0\nsasl_username=somebody-${number}\n` +
        `recipient=r${number}@example.org\nsome_attribute=${'j'.repeat(80_000)}\n`,
    })
    t.ok(most - before < 140, `160 MB of requests at ${state}: ${before} MB before, ${most} MB`)
  }
})

t.test('instances of 80,000 bytes, each another', async t => {
  const daemon = await started(t, { 'mtpolicyd/threshold': '5' })
  const before = residentMegabytes(daemon)
  const most = await flood(daemon, {
    count: 3000,
    atOnce: 20,
    request: number =>
      `protocol_state=END-OF-MESSAGE\nsasl_username=alice\ninstance=${`${number}-`.padEnd(80_000, 'x')}\n`,
  })
  t.ok(most - before < 120, `240 MB of instances: ${before} MB before, ${most} MB`)
})

t.test('messages without an end, and recipients without an end', async t => {
  const daemon = await started(t, { 'mtpolicyd/threshold': 'unlimited' })
  const before = residentMegabytes(daemon)
  const messages = await flood(daemon, {
    count: MANY / 2,
    request: number =>
      `protocol_state=RCPT\ninstance=4d2b.6553f1a2.${number}.0\nsasl_username=alice\n` +
      `recipient=recipient-${number}@example.org\n`,
  })
  t.ok(messages < MOST_AT_WORK, `${before} MB before, ${messages} MB`)
  const recipients = await flood(daemon, {
    count: 1500,
    atOnce: 20,
    request: number =>
      'protocol_state=RCPT\ninstance=one\nsasl_username=bob\n' +
      `recipient=recipient-${number}@example.org\nhelo_name=${'h'.repeat(80_000)}\n`,
  })
  t.ok(recipients - messages < 80, `120 MB of them: ${messages} MB before, ${recipients} MB`)
})

t.test('senders and hosts to be looked up, and a session for each mail', async t => {
  const dns = await startDnsServer({}, { negativeTtl: 900 })
  t.teardown(() => dns.close())
  const before_ = { ...process.env }
  Object.assign(process.env, dns.env)
  t.teardown(() => {
    process.env = before_
  })
  const daemon = await started(
    t,
    {},
    `port = PORT\nlog_level = 0\n<SessionCache>\nmodule = Memory\n</SessionCache>\n<VirtualHost PORT>
name = v\n<Plugin f>\nmodule = SetField\nkey = a\nvalue = b\n</Plugin>
<Plugin d>\nmodule = DBL\ndomain = dbl.example\n</Plugin>
<Plugin s>\nmodule = SPF\n</Plugin>\n</VirtualHost>\n`,
  )
  const before = residentMegabytes(daemon)
  const most = await flood(daemon, {
    count: 4000,
    atOnce: 60,
    request: number =>
      `protocol_state=RCPT\ninstance=4d2b.6553f1a2.${number}.0\nhelo_name=h${number}.example\n` +
      `sender=a@s${number}.example\nreverse_client_name=r${number}.example\n` +
      `some_attribute=${'j'.repeat(60_000)}\n`,
  })
  t.ok(dns.questions.length > 4000, `${dns.questions.length} questions`)
  t.ok(most - before < 260, `240 MB of requests: ${before} MB before, ${most} MB`)
})

t.test('sessions of mails with names of 20,000 bytes', async t => {
  const daemon = await started(
    t,
    {},
    `port = "127.0.0.1:PORT"
<SessionCache>
  module = "Memory"
</SessionCache>
<VirtualHost PORT>
  name = "a"
  <Plugin a>
    module = "SetField"
    key = "a"
    value = "b"
  </Plugin>
</VirtualHost>\n`,
  )
  const before = residentMegabytes(daemon)
  const most = await flood(daemon, {
    count: 6000,
    atOnce: 50,
    request: number => `instance=${`${number}-`.padEnd(20_000, 'x')}\n`,
  })
  t.ok(most - before < 100, `120 MB of names: ${before} MB before, ${most} MB`)
})
