/** Who is told what, and how often: conditions of accounts and of the daemon, and what waits for whom. */

import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Finding } from '../../daemon/policy/finding.ts'
import {
  type DeskWorld,
  deskWorld,
  NotedDelivery,
  POLICY,
  send,
  until,
} from '../support/alert-desk.ts'
import { chain, plugin } from '../support/world.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

t.test('an account is told once when it is near its limit, and once at it', async t => {
  const hook = new NotedDelivery('webhook', 'one')
  const desk = await deskWorld(t, [hook])
  for (let i = 0; i < 7; i++) await send(desk, 'alice', 1)
  t.strictSame(desk.desk.list(10).alerts, [], 'less than 80 %')
  for (let i = 0; i < 3; i++) await send(desk, 'alice', 1)
  await until(() => hook.alerts.length === 1)
  t.equal(hook.alerts[0]?.what.en, 'alice has used 8 of 10 recipients a day')
  t.equal(hook.alerts[0]?.what.de, 'alice hat 8 von 10 Empfängern am Tag verbraucht')
  for (let i = 0; i < 20; i++) t.match(await send(desk, 'alice', 1), /^reject/)
  await until(() => hook.alerts.length === 2)
  t.strictSame(hook.lines, ['raised account-near alice', 'raised account-at-limit alice'])
  t.match(hook.alerts[1], {
    what: { en: 'mail of alice beyond its limit was refused (10 of 10 recipients a day used)' },
    remedy: { en: 'mtpolicyctl user alice; if it is not the user: mtpolicyctl block alice' },
    facts: { user: 'alice', rule: 'limit', used: 10, limit: 10 },
  })
  await send(desk, 'bob', 9)
  await until(() => hook.alerts.length === 3)
  t.equal(hook.lines[2], 'raised account-near bob', 'another account has alerts of its own')
})

t.test(
  'a limit that several share is told for each domain, address or server, by its name',
  async t => {
    const hook = new NotedDelivery('webhook', 'one')
    const policy = chain(
      plugin('SendingLimit', 'threshold = 3\nper = domain', 'domain') +
        plugin('SendingLimit', 'threshold = 7\nper = server', 'server') +
        plugin('SendingLimit', 'threshold = 1000\nper = sender', 'sender'),
    )
    const shared = (name: string, per: string) =>
      [name, { name, unit: 'recipients', window: 'day', per }] as const
    const limits = new Map([shared('domain', 'domain'), shared('server', 'server')])
    const rules = { limits, countries: new Set<string>() }
    const desk = await deskWorld(t, [hook], { policy, rules })
    t.match(await send(desk, 'a@example.org', 4), /^reject/)
    t.match(await send(desk, 'b@example.org', 4), /^reject/, 'not told again')
    t.match(await send(desk, 'c@example.net', 4), /^reject/)
    for (const name of ['a', 'b']) await send(desk, `x@${name}.example`, 3)
    t.match(await send(desk, 'y@c.example', 2), /^reject/)
    await until(() => hook.alerts.filter(({ kind }) => kind === 'limit-reached').length === 3)
    const reached = hook.alerts.filter(({ kind }) => kind === 'limit-reached')
    t.match(reached, [
      {
        account: '',
        what: {
          en: /^mail of the domain example\.org beyond its limit was refused/,
          de: /^Mail von der Domain example\.org über das Limit hinaus wurde abgelehnt/,
          fr: /^du courrier du domaine example\.org au-delà de sa limite a été refusé/,
        },
        remedy: { en: 'mtpolicyctl top' },
        facts: { rule: 'domain', per: 'domain', domain: 'example.org' },
      },
      { what: { en: /^mail of the domain example\.net/ }, facts: { domain: 'example.net' } },
      {
        what: { en: /^mail of this server/, de: /^Mail von diesem Server/ },
        facts: { per: 'server' },
      },
    ])
  },
)

t.test('the next day the limit holds nobody back any more, and may be told again', async t => {
  const hook = new NotedDelivery('webhook', 'one')
  const desk = await deskWorld(t, [hook])
  await send(desk, 'alice', 9)
  t.match(await send(desk, 'alice', 2), /^reject/)
  await desk.clock.advance(13 * HOUR)
  await until(() => hook.lines.includes('cleared account-at-limit alice'))
  await send(desk, 'alice', 1)
  await until(() => hook.lines.includes('cleared account-near alice'))
  await send(desk, 'alice', 8)
  t.match(await send(desk, 'alice', 2), /^reject/)
  await until(() => hook.lines.length === 6)
  t.strictSame(hook.lines, [
    'raised account-near alice',
    'raised account-at-limit alice',
    'cleared account-at-limit alice',
    'cleared account-near alice',
    'raised account-near alice',
    'raised account-at-limit alice',
  ])
})

t.test('mail from a country that is not allowed: once for each country', async t => {
  const hook = new NotedDelivery('webhook', 'one')
  const desk = await deskWorld(t, [hook])
  const client_address = '203.0.113.7'
  for (let i = 0; i < 5; i++) t.match(await send(desk, 'alice', 1, { client_address }), /^reject/)
  await until(() => hook.alerts.length === 1)
  t.match(hook.alerts[0], {
    kind: 'country-refused',
    what: { en: 'mail of alice from CN (203.0.113.7) was refused' },
    facts: { country: 'CN', client: '203.0.113.7', rule: 'countries' },
  })
  await desk.clock.advance(23 * HOUR)
  await send(desk, 'alice', 1, { client_address })
  await desk.clock.advance(23 * HOUR)
  t.equal(hook.alerts.length, 1, 'as long as it is tried at least once a day')
  await desk.clock.advance(2 * HOUR)
  await until(() => hook.alerts.length === 2)
  t.equal(hook.lines[1], 'cleared country-refused alice')
})

t.test('in observe mode it is told what would have been refused', async t => {
  const hook = new NotedDelivery('webhook', 'one')
  const desk = await deskWorld(t, [hook], { policy: `mode = observe\n${POLICY}` })
  await send(desk, 'alice', 9)
  t.equal(await send(desk, 'alice', 9, { client_address: '203.0.113.7' }), 'dunno')
  await until(() => hook.alerts.length >= 2)
  const told = hook.alerts.map(({ what }) => what.en)
  t.ok(told.includes('mail of alice from CN (203.0.113.7) would have been refused (observe mode)'))
})

t.test('a message that is too large by itself is no alert', async t => {
  const hook = new NotedDelivery('webhook', 'one')
  const policy =
    '<VirtualHost 12345>\nname = x\n<Plugin limit>\nmodule = SendingLimit\nthreshold = 1000\nmost_recipients = 5\n</Plugin>\n</VirtualHost>\n'
  const desk = await deskWorld(t, [hook], { policy })
  t.match(await send(desk, 'alice', 6), /^reject 5\.5\.3/)
  t.strictSame(desk.desk.list(10).inForce, [])
})

t.test('a block is told when it is ordered and when it is released', async t => {
  const hook = new NotedDelivery('webhook', 'one')
  const desk = await deskWorld(t, [hook])
  const at = desk.clock.now()
  const why = 'spam, password stolen'
  desk.blocks = [{ kind: 'block', account: 'eve', until: undefined, at, by: 'root', why }]
  await desk.clock.advance(20_000)
  await until(() => hook.alerts.length === 1)
  t.match(hook.alerts[0], { what: { en: 'eve is blocked (root: spam, password stolen)' } })
  desk.blocks = []
  await desk.clock.advance(5000)
  await until(() => hook.alerts.length === 2)
  t.strictSame(hook.lines, ['raised account-blocked eve', 'cleared account-blocked eve'])
})

t.test('after kill -9 nothing is told twice, and what waits is told', async t => {
  const down = new NotedDelivery('webhook', 'one')
  down.answer = async () => ({ is: 'later', why: 'connection refused' })
  const desk = await deskWorld(t, [down])
  await send(desk, 'alice', 9)
  await send(desk, 'bob', 9)
  await until(() => down.tries === 1)
  await until(() => readFileSync(desk.path, 'utf8').includes('"bob"'))
  const up = new NotedDelivery('webhook', 'one')
  await desk.again([up])
  await until(() => up.alerts.length === 2)
  t.strictSame(up.lines, ['raised account-near alice', 'raised account-near bob'], 'in their order')
  await send(desk, 'alice', 5)
  await send(desk, 'alice', 5)
  await until(() => up.alerts.length === 3)
  t.equal(up.lines[2], 'raised account-at-limit alice')
  await until(() => /"end".*"webhook".*\n.*"end"/s.test(readFileSync(desk.path, 'utf8')))
  const last = new NotedDelivery('webhook', 'one')
  const again = await desk.again([last])
  await send(desk, 'alice', 5)
  await desk.clock.advance(MINUTE)
  t.strictSame(last.lines, [])
  t.equal(again.list(10).inForce.length, 3, 'what holds is known from before')
})

t.test('a webhook that is down holds up no mail, and gets everything in order later', async t => {
  const hook = new NotedDelivery('webhook', 'one')
  const mail = new NotedDelivery('mail', 'all')
  hook.answer = async () => ({ is: 'later', why: 'connection refused' })
  const desk = await deskWorld(t, [hook, mail])
  for (const name of ['a', 'b', 'c']) await send(desk, name, 9)
  await until(() => known(desk) === 6)
  await desk.clock.advance(11_000)
  await until(() => mail.alerts.length === 3)
  t.equal(mail.got.length, 1, 'one mail')
  t.strictSame(hook.lines, [])
  t.match(desk.desk.status().deliveries, [
    { name: 'webhook', waiting: 3, problem: 'connection refused' },
    { name: 'mail', waiting: 0, done: 3, problem: undefined },
  ])
  const before = hook.tries
  await desk.clock.advance(10 * HOUR)
  t.ok(hook.tries - before < 60, `${hook.tries - before} attempts in ten hours`)
  t.equal(desk.logged.length, 1, 'the log says once that it fails')
  hook.answer = async () => ({ is: 'done' })
  await desk.clock.advance(15 * MINUTE)
  await until(() => hook.alerts.length === 3)
  t.strictSame(hook.lines.slice(0, 3), [
    'raised account-near a',
    'raised account-near b',
    'raised account-near c',
  ])
})

t.test('what could not be delivered within a day is given up, and said so', async t => {
  const hook = new NotedDelivery('webhook', 'one')
  hook.answer = async () => ({ is: 'later', why: 'connection refused' })
  const desk = await deskWorld(t, [hook])
  await send(desk, 'alice', 9)
  await desk.clock.advance(23 * HOUR)
  t.match(desk.desk.status().deliveries, [{ waiting: 1, lost: 0 }])
  await desk.clock.advance(90 * MINUTE)
  t.match(desk.logged.at(-1), '1 alert was not delivered to webhook: connection refused')
  t.equal(desk.desk.status().deliveries[0]?.lost, 1)
})

t.test('1,000 accounts in a minute become a digest', async t => {
  const mail = new NotedDelivery('mail', 'all')
  const desk = await deskWorld(t, [mail])
  for (let i = 0; i < 1000; i++) {
    await send(desk, `user${i}`, 9)
    if (i % 20 > 0) continue
    await until(() => known(desk) === i + 1)
    await desk.clock.advance(1200)
  }
  await until(() => known(desk) === 1000)
  for (let i = 0; i < 60; i++) await desk.clock.advance(MINUTE)
  await until(() => mail.alerts.length === 1000)
  t.ok(mail.got.length <= 6, `${mail.got.length} mails: ${mail.got.map(one => one.length)}`)
})

t.test('never more than 30 mails an hour, nor 2 in 10 minutes about one account', async t => {
  const mail = new NotedDelivery('mail', 'all')
  const user = new NotedDelivery('user', 'account')
  const desk = await deskWorld(t, [mail, user])
  const times: number[] = []
  const perAccount = new Map<string, number[]>()
  for (const one of [mail, user]) {
    one.answer = async () => {
      times.push(desk.clock.now())
      return { is: 'done' }
    }
  }
  for (let i = 0; i < 200; i++) {
    await send(desk, `user${i % 50}`, 9)
    await send(desk, `user${i % 50}`, 9)
    await desk.clock.advance(30_000)
  }
  for (const batch of user.got) {
    const [first] = batch
    const at = perAccount.get(first?.account ?? '') ?? []
    perAccount.set(first?.account ?? '', [...at, 1])
    t.ok(batch.every(({ account }) => account === first?.account))
  }
  for (const at of times) {
    const within = times.filter(other => other >= at && other < at + HOUR)
    if (within.length > 30) t.fail(`${within.length} mails within an hour`)
  }
  t.ok(times.length >= 20, `${times.length} mails`)
})

t.test('what another process has to send is not delivered, whatever has been taken', async t => {
  const mail = new NotedDelivery('mail', 'all')
  const desk = await deskWorld(t, [mail])
  const at = desk.clock.now() - HOUR
  mail.held = () => ({ count: 3, oldest: at })
  t.match(desk.desk.status().deliveries, [{ waiting: 3, oldest: at }])
  mail.held = () => ({ count: 0, oldest: undefined })
  t.match(desk.desk.status().deliveries, [{ waiting: 0, oldest: undefined }])
})

/** Alerts that wait, or were taken, of all deliveries. */
function known({ desk }: DeskWorld): number {
  return desk.status().deliveries.reduce((sum, { waiting, done }) => sum + waiting + done, 0)
}

const FINDING: Finding = {
  id: 'counts-not-durable',
  subject: 'counts',
  severity: 'warning',
  where: '/var/lib/ledger',
  service: '',
  what: { en: 'counts are in memory', de: 'Zähler im Arbeitsspeicher' },
  why: { en: 'disk full', de: 'Platte voll' },
  remedy: { en: 'make room', de: 'Platz schaffen' },
}

t.test('trouble of the daemon is told once it has stayed, and when it is over', async t => {
  const hook = new NotedDelivery('webhook', 'one')
  const desk = await deskWorld(t, [hook])
  desk.findings = [FINDING, { ...FINDING, id: 'near-limit', severity: 'note' }]
  await desk.clock.advance(10_000)
  desk.findings = []
  await desk.clock.advance(10 * MINUTE)
  t.strictSame(hook.lines, [], 'it came and went')
  desk.findings = [FINDING]
  await desk.clock.advance(30_000)
  await until(() => hook.lines.length === 1)
  desk.findings = [{ ...FINDING, what: { en: 'still', de: 'noch' } }]
  await desk.clock.advance(2 * HOUR)
  t.strictSame(hook.lines, ['raised counts-not-durable'])
  desk.findings = []
  await desk.clock.advance(MINUTE)
  t.equal(hook.lines.length, 1)
  await desk.clock.advance(5 * MINUTE)
  await until(() => hook.lines.length === 2)
  t.equal(hook.lines[1], 'cleared counts-not-durable')
})

t.test('trouble of the alerts themselves makes no alerts', async t => {
  const hook = new NotedDelivery('webhook', 'one')
  const desk = await deskWorld(t, [hook])
  desk.findings = [{ ...FINDING, subject: 'alerts', id: 'alerts-failing' }]
  await desk.clock.advance(HOUR)
  t.strictSame(hook.lines, [])
})

t.test('a daemon that crashes again and again knows it', async t => {
  const desk = await deskWorld(t, [])
  t.equal(desk.desk.status().crashes, 0)
  for (let i = 0; i < 3; i++) await desk.again([])
  const last = await desk.again([])
  t.equal(last.status().crashes, 4)
  await last.stop()
  const orderly = await desk.again([])
  t.equal(orderly.status().crashes, 4, 'an orderly restart is no crash')
  await desk.clock.advance(16 * MINUTE)
  t.equal(orderly.status().crashes, 0)
})

t.test(
  'Postfix asks no more: after an hour where it asked all day, not where it rests',
  async t => {
    const busy = await deskWorld(t, [])
    for (let i = 0; i < 30 * 12; i++) {
      busy.requests++
      await busy.clock.advance(5 * MINUTE)
    }
    t.equal(busy.desk.status().silentSince, undefined)
    await busy.clock.advance(65 * MINUTE)
    t.ok(busy.desk.status().silentSince, 'after an hour')
    busy.requests++
    await busy.clock.advance(5000)
    t.equal(busy.desk.status().silentSince, undefined, 'it asks again')

    const office = await deskWorld(t, [])
    for (let day = 0; day < 9; day++) {
      for (let i = 0; i < 8 * 6; i++) {
        office.requests++
        await office.clock.advance(10 * MINUTE)
      }
      if (office.desk.status().silentSince !== undefined) t.fail(`day ${day}`)
      await office.clock.advance(16 * HOUR)
      if (office.desk.status().silentSince !== undefined) t.fail(`night ${day}`)
    }
    await office.clock.advance(40 * HOUR)
    t.ok(office.desk.status().silentSince)
  },
)

t.test('a damaged file costs what was damaged, nothing else', async t => {
  const down = new NotedDelivery('webhook', 'one')
  down.answer = async () => ({ is: 'later', why: 'connection refused' })
  const desk = await deskWorld(t, [down])
  for (const name of ['a', 'b', 'c']) await send(desk, name, 9)
  await until(() => readFileSync(desk.path, 'utf8').includes('"account":"c"'))
  const text = readFileSync(desk.path, 'utf8')
  writeFileSync(desk.path, text.replace('"account":"b"', '"account":"x"'))
  appendFileSync(desk.path, '1234abcd {"is":"edge","alert":{"id":')
  const up = new NotedDelivery('webhook', 'one')
  await desk.again([up])
  await until(() => up.alerts.length === 2)
  t.strictSame(up.lines, ['raised account-near a', 'raised account-near c'])
  t.match(desk.logged.at(-1), /2 damaged lines were left out/)
  await send(desk, 'd', 9)
  await until(() => up.alerts.length === 3)
  const last = new NotedDelivery('webhook', 'one')
  const again = await desk.again([last])
  t.match(again.list(10).inForce, { length: 3 }, 'what follows a torn line can be read')
})

t.test('an account that is to be deleted is not in the file any more', async t => {
  const hook = new NotedDelivery('webhook', 'one')
  const mail = new NotedDelivery('mail', 'all')
  const desk = await deskWorld(t, [hook, mail])
  await send(desk, 'alice', 9)
  await send(desk, 'bob', 9)
  await until(() => hook.alerts.length === 2)
  await desk.clock.advance(11_000)
  await until(() => desk.desk.status().deliveries.every(one => one.done === 2))
  await desk.desk.forget('alice')
  const text = readFileSync(desk.path, 'utf8')
  t.notMatch(text, 'alice')
  t.match(text, 'bob')
  t.strictSame(
    desk.desk.list(10).alerts.map(({ account }) => account),
    ['bob'],
  )
})

t.test('without a disk, alerts are told from memory', async t => {
  const hook = new NotedDelivery('webhook', 'one')
  const path = join(t.testdir(), 'alerts.log')
  mkdirSync(path)
  const desk = await deskWorld(t, [hook], { path })
  await send(desk, 'alice', 9)
  await until(() => hook.alerts.length === 1)
  t.match(desk.desk.status().problem, /EISDIR/)
  t.equal(desk.logged.length, 1)
})

t.test('the file is written anew once it has grown, with what still matters', async t => {
  const hook = new NotedDelivery('webhook', 'one')
  const desk = await deskWorld(t, [hook])
  for (let i = 0; i < 4000; i++) await send(desk, `user${i}`, 9)
  await until(() => hook.alerts.length === 4000)
  await desk.desk.stop()
  const bytes = readFileSync(desk.path).length
  t.ok(bytes < 10_000_000, `${bytes} bytes`)
  const last = new NotedDelivery('webhook', 'one')
  const again = await desk.again([last])
  await send(desk, 'user1', 0)
  t.equal(again.status().inForce, 4000)
  t.strictSame(last.lines, [])
})
