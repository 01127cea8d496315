/** Alerts by mail: a real Postfix takes and delivers them, a real MIME parser reads what has arrived. */

import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { deliveriesOf } from '../../daemon/alerts/delivery/deliveries.ts'
import { outgoingFolder, sendOutgoing } from '../../daemon/alerts/delivery/outgoing.ts'
import { postOf } from '../../daemon/alerts/delivery/post.ts'
import { type OutgoingMail, sendMail } from '../../daemon/alerts/delivery/sendmail.ts'
import type { AlertSettings, Delivery, Outcome } from '../../daemon/alerts/delivery.ts'
import {
  alertOf,
  headerOf,
  NO_ALERTS,
  type ParsedMail,
  parseMails,
  parserMissing,
  surroundingsOf,
} from '../support/alerts.ts'
import { createPostfixRig, type PostfixRig, postfixRigMissing } from '../support/postfix-rig.ts'

const skip = postfixRigMissing() || parserMissing
const { signal } = new AbortController()

const USERS = ['root', 'wache', 'digest', 'amelie', 'waiting', 'first', 'second']

let rig: PostfixRig
let boxes: string

/** A root whose sendmail(1) is that of the rig. */
function rootWithMail(t: Test): string {
  const root = t.testdir({})
  mkdirSync(join(root, 'usr/sbin'), { recursive: true })
  const program = join(root, 'usr/sbin/sendmail')
  writeFileSync(program, `#!/bin/sh\nexec /usr/sbin/sendmail -C '${rig.configDirectory}' "$@"\n`)
  chmodSync(program, 0o755)
  const postconf = join(root, 'usr/sbin/postconf')
  writeFileSync(postconf, `#!/bin/sh\nexec /usr/sbin/postconf -c '${rig.configDirectory}' "$@"\n`)
  chmodSync(postconf, 0o755)
  return root
}

function deliveryOf(root: string, name: string, settings: Partial<AlertSettings>): Delivery {
  const found = deliveriesOf({ ...NO_ALERTS, ...settings }, surroundingsOf(root)).find(
    one => one.name === name,
  )
  if (!found) throw new Error(`no ${name}`)
  return found
}

/** Whatever has arrived for this user, in the order of its delivery. */
function mailbox(user: string): readonly ParsedMail[] {
  const folder = join(boxes, user, 'new')
  return parseMails(
    readdirSync(folder)
      .toSorted()
      .map(name => readFileSync(join(folder, name), 'utf8')),
  )
}

/** Until Postfix has delivered one more to each of them. */
async function delivered(work: () => Promise<Outcome>, most = 1): Promise<void> {
  const count = (): number => rig.log().match(/relay=virtual.* status=sent /g)?.length ?? 0
  const before = count()
  const outcome = await work()
  if (outcome.is !== 'done') throw new Error(outcome.why)
  await rig.logged(new RegExp(`(?:relay=virtual.* status=sent [\\s\\S]*?){${before + most}}`))
}

t.before(async () => {
  if (skip) return
  rig = await createPostfixRig()
  boxes = join(rig.directory, 'boxes')
  mkdirSync(boxes)
  chmodSync(boxes, 0o777)
  const map = join(rig.directory, 'boxes.regexp')
  writeFileSync(map, USERS.map(name => `/^${name}[+@]/ ${name}/\n`).join(''))
  rig.set(
    'myorigin = example.org',
    'recipient_delimiter = +',
    'local_transport = virtual',
    `virtual_mailbox_base = ${boxes}`,
    `virtual_mailbox_maps = regexp:${map}`,
    'virtual_uid_maps = static:65534',
    'virtual_gid_maps = static:65534',
    'virtual_minimum_uid = 1000',
  )
  await rig.start()
})
t.teardown(async () => rig?.remove())

t.test('an alert arrives, in German, with the headers of an automatic mail', { skip }, async t => {
  const mail = deliveryOf(rootWithMail(t), 'mail', {
    mail: 'root, wache@example.org',
    sender: 'wache@example.org',
    language: 'de',
  })
  const alert = alertOf({ what: { en: 'x', de: 'Mail von jürgen aus Südkorea wurde abgelehnt' } })
  await delivered(() => mail.deliver([alert], signal), 2)
  const [arrived, ...others] = mailbox('root')
  t.strictSame(others, [])
  if (!arrived) throw new Error('nothing has arrived')
  t.strictSame(arrived.defects, [])
  t.strictSame(arrived.from, [['mtpolicyd', 'wache@example.org']])
  t.strictSame(arrived.to, ['root@example.org'])
  const head = (name: string): string | undefined => headerOf(arrived, name)
  t.equal(head('Subject'), '[mail.example.org] Mail von jürgen aus Südkorea wurde abgelehnt')
  t.equal(head('Auto-Submitted'), 'auto-generated')
  t.equal(head('Precedence'), 'bulk')
  t.equal(head('X-Mtpolicyd-Alert'), `account-near raised ${alert.id}`)
  t.equal(head('Message-ID'), `<${alert.id}@mail.example.org>`)
  t.equal(head('Return-Path'), '<wache+mtpolicyd-4@example.org>', 'with our note')
  t.equal(head('Content-Language'), 'de')
  t.equal(arrived.date, Math.floor(alert.at / 1000))
  t.match(arrived.text, '\nWas zu tun ist:\n\n    mtpolicyctl user alice@example.org\n')
  const [other] = mailbox('wache')
  t.equal(other && headerOf(other, 'Return-Path'), '<wache+mtpolicyd-17@example.org>')

  const over = { ...alert, id: '1764575000124-1', state: 'cleared' } as const
  await delivered(() => mail.deliver([over], signal), 2)
  const [, second] = mailbox('root')
  t.equal(second && headerOf(second, 'References'), head('References'), 'one thread')
})

t.test('a thousand alerts arrive as one digest', { skip }, async t => {
  const mail = deliveryOf(rootWithMail(t), 'mail', { mail: 'digest@example.org' })
  const many = Array.from({ length: 1000 }, (_, at) =>
    alertOf({ id: `${1764575000123 + at}-1`, account: `user${at}@example.org` }),
  )
  await delivered(() => mail.deliver(many, signal))
  const [arrived, ...others] = mailbox('digest')
  t.strictSame([others, arrived?.defects], [[], []])
  t.equal(
    arrived && headerOf(arrived, 'Subject'),
    '[mail.example.org] 1000 alerts about 1000 accounts',
  )
  t.equal(arrived && headerOf(arrived, 'X-Mtpolicyd-Alert'), 'digest of 1000')
  t.strictSame(
    arrived?.from,
    [['mtpolicyd', 'root@mail.example.org']],
    'without a sender of its own',
  )
})

t.test('a user is told in French, at the account’s own address', { skip }, async t => {
  const user = deliveryOf(rootWithMail(t), 'user', {
    user: 'warn',
    language: 'fr',
    defaultDomain: 'example.org',
  })
  await delivered(() => user.deliver([alertOf({ account: 'amelie' })], signal))
  const [arrived] = mailbox('amelie')
  t.strictSame(arrived?.to, ['amelie@example.org'])
  t.equal(
    arrived && headerOf(arrived, 'Subject'),
    'Vous avez utilisé 80 % de votre limite d’envoi de courriels',
  )
  t.match(arrived?.text, 'Si vous n’avez PAS envoyé autant de messages')
})

t.test(
  'on a host that does not know its domain, Postfix completes the sender',
  { skip },
  async t => {
    const settings = { ...NO_ALERTS, mail: 'first@example.org' }
    const surroundings = { ...surroundingsOf(rootWithMail(t)), hostName: 'mail' }
    const [mail] = deliveriesOf(settings, surroundings)
    await delivered(() => mail?.deliver([alertOf()], signal) ?? Promise.reject(new Error('none')))
    t.strictSame(mailbox('first')[0]?.from, [['mtpolicyd', 'root@example.org']])
    rmSync(join(boxes, 'first'), { recursive: true })
  },
)

t.test('an address that looks like an option is an address', { skip }, async t => {
  const settings = { mail: '-bp@example.org', sender: '-v@example.org' }
  const mail = deliveryOf(rootWithMail(t), 'mail', settings)
  t.strictSame(await mail.deliver([alertOf()], signal), { is: 'done' })
  await rig.logged(/from=<-v\+mtpolicyd-15@example\.org>/)
  await rig.logged(/to=<-bp@example\.org>/)
})

t.test(
  'mail that may not be sent here waits as a file, and another process sends it',
  { skip },
  async t => {
    const root = rootWithMail(t)
    const surroundings = surroundingsOf(root)
    const { state } = surroundings
    const post = postOf({ sender: '' }, surroundings, false)
    const letter = { subject: 'Grüße', text: 'ä\n', language: 'de', date: 0, thread: '' } as const
    for (const at of [2, 1, 1]) {
      const to = 'waiting@example.org'
      t.strictSame(await post.send({ ...letter, id: `${at}`, to, alert: '' }, signal), {
        is: 'done',
      })
    }
    const files = readdirSync(outgoingFolder(state))
    t.strictSame(files.toSorted(), ['1-waiting-example.org.mail', '2-waiting-example.org.mail'])
    t.equal(statSync(outgoingFolder(state)).mode & 0o777, 0o700)
    t.equal(post.problem(), undefined, 'since just now')
    const old = new Date(Date.now() - 150_000)
    utimesSync(join(outgoingFolder(state), files[0] ?? ''), old, old)
    t.match(
      post.problem(),
      /^mails in \S+\/outgoing have been waiting for 2 min; see systemctl status/,
    )

    const send = (mail: OutgoingMail): Promise<Outcome> =>
      sendMail(join(root, 'usr/sbin/sendmail'), mail)
    await delivered(async () => {
      t.strictSame(await sendOutgoing(state, Date.now, send), { sent: 2, dropped: [], left: [] })
      return { is: 'done' }
    }, 2)
    t.strictSame(readdirSync(outgoingFolder(state)), [])
    t.equal(post.problem(), undefined)
    t.strictSame(
      mailbox('waiting').map(({ text }) => text),
      ['ä\n', 'ä\n'],
    )
  },
)

t.test(
  'a mail server that does not take it is asked again, but only for who has got none',
  { skip },
  async t => {
    const root = rootWithMail(t)
    const program = join(root, 'usr/sbin/sendmail')
    const working = readFileSync(program, 'utf8')
    const mail = deliveryOf(root, 'mail', { mail: 'first@example.org,second@example.org' })
    const batch = [alertOf()]

    writeFileSync(
      program,
      working.replace('exec', 'case "$*" in *second*) echo no room >&2; exit 75;; esac\nexec'),
    )
    t.strictSame(await mail.deliver(batch, signal), {
      is: 'later',
      why: `${program}: exit status 75: no room`,
    })
    writeFileSync(program, working.replace(rig.configDirectory, '/nonexistent'))
    t.match(await mail.deliver(batch, signal), {
      is: 'later',
      why: /exit status 75: .*\/nonexistent/,
    })
    rmSync(program)
    t.match(await mail.deliver(batch, signal), {
      is: 'later',
      why: /sendmail: there is no such program \(ENOENT\)/,
    })
    writeFileSync(program, working, { mode: 0o755 })
    chmodSync(program, 0o755)
    await delivered(() => mail.deliver(batch, signal))
    await rig.logged(/to=<second@example\.org>.* status=sent/)
    t.equal(mailbox('first').length, 1)
    t.equal(mailbox('second').length, 1)
  },
)

t.test('a sender that Postfix rewrites for a relay host is rewritten', { skip }, async t => {
  rig.set('sender_canonical_maps = inline:{ second@example.org=account@isp.example }')
  const settings = { mail: 'second@example.org', sender: 'second@example.org' }
  rmSync(join(boxes, 'second'), { recursive: true, force: true })
  for (const delimiter of ['', '+', '-', '+-']) {
    rig.set(`recipient_delimiter = ${delimiter}`)
    await rig.reload()
    const mail = deliveryOf(rootWithMail(t), 'mail', settings)
    await delivered(() => mail.deliver([alertOf()], signal))
    const arrived = mailbox('second').at(-1)
    const sender = arrived && headerOf(arrived, 'Return-Path')
    t.match(sender, /^<account\S*@isp\.example>$/, `delimiter "${delimiter}"`)
    rmSync(join(boxes, 'second'), { recursive: true })
  }
  rig.unset('sender_canonical_maps')
})
