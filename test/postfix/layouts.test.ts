/**
 * The Postfix set-ups that people have (test/fixtures/postfix-setups), each run by a real Postfix on
 * a host of its own: register, log in at every service from outside and from mynetworks, be refused,
 * unregister. Each is once the primary instance and once the second one of another's host.
 */

import t from 'tap'
import { mailHostMissing, makeMailHost } from '../support/mail-host.ts'
import {
  type InstanceReport,
  onHost,
  type SessionReport,
  userPasses,
} from '../support/mail-session.ts'
import {
  filesOf,
  makeCertificate,
  type RunnableSetup,
  runnableSetup,
  setupNames,
} from '../support/postfix-setups.ts'

const skip = mailHostMissing()
const ONCE = [{ state: 'END-OF-MESSAGE', count: 3, user: 'alice@mail.example.org' }]
const AT_ONCE = 4

/** What each service of a set-up is; at all others nobody can log in. */
const ANSWERS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'amavis-reinjection': {
    'smtp/inet': 'asked',
    'submission/inet': 'asked',
    '127.0.0.1:10025/inet': 'return path',
  },
  'debian-11': { 'submission/inet': 'asked', 'smtps/inet': 'asked' },
  'debian-12': { 'submission/inet': 'asked', 'submissions/inet': 'asked' },
  'debian-13': { 'submission/inet': 'asked', 'submissions/inet': 'asked' },
  'docker-mailserver': { 'submission/inet': 'asked', 'submissions/inet': 'asked' },
  froxlor: { 'smtp/inet': 'asked', 'submission/inet': 'asked', 'smtps/inet': 'asked' },
  iredmail: { 'submission/inet': 'asked', '465/inet': 'asked' },
  ispconfig: {
    'smtp/inet': 'asked',
    'submission/inet': 'asked',
    'smtps/inet': 'asked',
    '127.0.0.1:10025/inet': 'return path',
    '127.0.0.1:10027/inet': 'return path',
  },
  kolab: {
    'smtp/inet': 'asked',
    'submission/inet': 'asked',
    '127.0.0.1:10025/inet': 'return path',
    '127.0.0.1:10027/inet': 'return path',
  },
  'mail-in-a-box': { 'smtps/inet': 'asked', 'submission/inet': 'asked' },
  mailcow: {
    'smtps/inet': 'asked',
    '10465/inet': 'asked',
    'submission/inet': 'asked',
    '10587/inet': 'asked',
    '588/inet': 'asked',
    '589/inet': 'asked',
    '590/inet': 'asked',
  },
  'null-client': { 'submission/inet': 'asked' },
  mailu: { '10025/inet': 'asked' },
  modoboa: {
    'smtpd/pass': 'asked',
    'submission/inet': 'asked',
    '127.0.0.1:10025/inet': 'return path',
  },
  plesk: { 'smtp/inet': 'asked', 'smtps/inet': 'asked', 'submission/inet': 'asked' },
  'proxmox-mail-gateway': { 'submission/inet': 'asked' },
  'ubuntu-22.04': { 'submission/inet': 'asked', 'smtps/inet': 'asked' },
  'ubuntu-24.04': { 'submission/inet': 'asked', 'submissions/inet': 'asked' },
  'ucs-5.2': { 'smtps/inet': 'asked', 'submission/inet': 'asked' },
  virtualmin: { 'smtp/inet': 'asked', 'submission/inet': 'asked', 'smtps/inet': 'asked' },
  zimbra: { 'smtpd/pass': 'asked', '465/inet': 'asked', 'submission/inet': 'asked' },
}

/** How many additional requests without a user name there are when filters return mail. */
const AGAIN: Readonly<Record<string, number>> = {
  ispconfig: 1,
  kolab: 2,
  'proxmox-mail-gateway': 1,
  'ucs-5.2': 1,
}

t.setTimeout(600_000)
t.test('the set-ups that people have', { skip }, async t => {
  const certificate = makeCertificate(t.testdir())
  const names = setupNames().filter(name => name !== 'null-client')
  const worlds = names.map((name, at) => {
    const second = names[(at + 1) % names.length] ?? ''
    return { first: name, second, run: () => together(name, second, certificate) }
  })
  const results = inPool(worlds.map(({ run }) => run))
  for (const [at, { first, second }] of worlds.entries()) {
    await t.test(`${first}, and ${second} as a second instance`, async t => {
      const report = await results[at]
      if (!report) throw new Error('no report')
      t.comment(`${JSON.stringify(report.milliseconds)}`)
      t.equal(report.registered.length, 2, 'register finds both')
      t.equal(report.askedAfterwards, 0, 'after unregistering the daemon is not queried')
      for (const [index, name] of [first, second].entries()) {
        const result = report.registered[index]
        t.match(result, { outcome: 'registered', ok: true, coverage: 'complete' }, name)
        t.match(report.unregistered[index], { outcome: 'unregistered', ok: true }, name)
        const instance = report.instances[index]
        if (instance) asSeen(t, name, instance)
      }
      const again = report.instances[1]?.visitsAfterwards ?? []
      t.ok(again.some(userPasses), 'while users still send')
    })
  }

  await t.test('a null client whose mail service is a second instance', async t => {
    const primary = runnableSetup('null-client')
    const service = runnableSetup('null-client', 'postfix-msa', 'postfix-msa')
    const host = makeMailHost({
      ...filesOf(primary, 'postfix', certificate),
      ...filesOf(service, 'postfix-msa', certificate),
    })
    const { registered, unregistered, instances, askedAfterwards } = await onHost(host, {
      instances: [
        instanceOf(primary, 'postfix'),
        { ...instanceOf(service, 'postfix-msa'), isChecked: true },
      ],
    })
    t.equal(askedAfterwards, 0)
    t.match(registered[0], { configDir: '/etc/postfix', outcome: 'already', ok: true })
    t.match(registered[1], { configDir: '/etc/postfix-msa', ok: true, coverage: 'complete' })
    t.match(unregistered, [{ ok: true }, { ok: true, outcome: 'unregistered' }])
    const [nothing, mail] = instances
    t.strictSame(nothing?.after, nothing?.before)
    if (mail) asSeen(t, 'null-client', mail)
    t.ok(mail?.visitsAfterwards.some(userPasses))
  })
})

/** status shows "asked" exactly where a request was seen. */
function asSeen(t: Tap, name: string, { status, visits, before, after }: InstanceReport): void {
  t.strictSame(after, before, `${name}: main.cf and master.cf as before`)
  t.equal(status.ok, true, `${name}: status is ok`)
  const services = new Set(visits.map(({ service }) => service))
  t.strictSame(services, new Set(Object.keys(status.answers)), `${name}: every service was visited`)
  for (const service of services) {
    const here = visits.filter(visit => visit.service === service)
    const users = here.filter(({ isLoggedIn }) => isLoggedIn)
    const passed = here.filter(userPasses)
    const what = `${name} ${service}`
    const seen = users.length === 0 ? 'no logins' : passed.length === 0 ? 'refuses' : 'asked'
    const said = status.answers[service]
    t.equal(said, ANSWERS[name]?.[service] ?? 'no logins', what)
    if (said !== 'return path')
      t.equal(said, seen, `${what}: ${here.map(({ mail }) => mail.reply)}`)
    if (said !== 'asked') continue
    for (const { client, mail, refused } of passed) {
      t.equal(mail.askedAgain, AGAIN[name] ?? 0, `${what}: counted apart`)
      t.strictSame(mail.asked, ONCE, `${what}: queried once about a mail from ${client}`)
      t.match(refused, { accepted: false, isQueued: false, asked: ONCE }, `${what}: and refused`)
      t.match(refused?.reply, /^5\d\d .*too much/)
      t.ok(mail.isQueued, 'the log shows what is queued')
    }
  }
}

type Tap = Pick<typeof t, 'equal' | 'ok' | 'match' | 'strictSame' | 'comment'>

async function together(
  first: string,
  second: string,
  certificate: Buffer,
): Promise<SessionReport> {
  const primary = runnableSetup(first, 'postfix')
  const other = runnableSetup(second, 'postfix-two')
  const host = makeMailHost({
    ...filesOf(primary, 'postfix', certificate, [
      'multi_instance_directories = /etc/postfix-two',
      'multi_instance_enable = yes',
    ]),
    ...filesOf(other, 'postfix-two', certificate, [
      'multi_instance_name = postfix-two',
      'multi_instance_enable = yes',
    ]),
  })
  return onHost(host, {
    instances: [
      { ...instanceOf(primary, 'postfix'), isChecked: true },
      instanceOf(other, 'postfix-two'),
    ],
  })
}

function instanceOf({ name: setup, sasl, policyServices }: RunnableSetup, name: string) {
  return { name, sasl, policyServices, byXclient: setup === 'mailu' }
}

/** A few at once, in order; an error is kept until its result is read. */
function inPool<T>(work: readonly (() => Promise<T>)[]): Promise<T>[] {
  const lanes: Promise<unknown>[] = Array.from({ length: AT_ONCE }, () => Promise.resolve())
  return work.map((one, at) => {
    const result = (lanes[at % AT_ONCE] ?? Promise.resolve()).then(one)
    lanes[at % AT_ONCE] = result.catch(() => undefined)
    result.catch(() => undefined)
    return result
  })
}
