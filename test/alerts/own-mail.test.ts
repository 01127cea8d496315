/** Mail that tells an alert passes and is not counted; nobody else can write mail that looks like it. */

import { randomBytes } from 'node:crypto'
import t from 'tap'
import { OwnMail } from '../../daemon/alerts/own-mail.ts'
import { deskWorld, NotedDelivery, POLICY, send, until } from '../support/alert-desk.ts'
import { virtualClock } from '../support/virtual-clock.ts'
import { makeWorld } from '../support/world.ts'

const DAY = 86_400_000

t.test('mail of ours is neither counted nor refused, and alerts nobody', async t => {
  const clock = virtualClock()
  const own = new OwnMail(randomBytes(32), clock.now)
  const world = await makeWorld(POLICY, { clock, isOwn: own.isOwn })
  t.teardown(() => world.close())
  let messages = 0
  const mail = (sender: string, recipient: string, more = {}): Promise<string | undefined> =>
    world.ask({
      protocol_state: 'END-OF-MESSAGE',
      instance: `own.${messages++}`,
      sasl_username: 'relay',
      sender,
      recipient,
      client_address: '203.0.113.7',
      recipient_count: '1',
      size: '1000',
      ...more,
    })
  const sender = own.envelopeSender('mtpolicyd@mail.example.org', 'root@example.org', '+')
  t.match(sender, /^mtpolicyd\+mtpolicyd-[a-z2-7]{16}@mail\.example\.org$/)
  for (let i = 0; i < 30; i++) t.equal(await mail(sender, 'root@example.org'), 'dunno')
  t.equal(await mail(sender.toUpperCase().replace('+MTPOLICYD-', '+mtpolicyd-'), 'ROOT@example.org'), 'dunno') // biome-ignore format: one line
  t.equal(await mail(own.envelopeSender('root', 'root', '+'), 'root'), 'dunno', 'local names')
  const other = own.envelopeSender('root@example.org', 'root', '-')
  t.match(other, /^root-mtpolicyd-[a-z2-7]{16}@example\.org$/)
  t.equal(await mail(other, 'root'), 'dunno', 'with another delimiter')

  // All of these are mail of an account abroad.
  t.match(
    await mail('mtpolicyd@mail.example.org', 'root@example.org'),
    /^reject/,
    'the sender alone',
  )
  t.match(await mail(sender, 'victim@example.net'), /^reject/, 'another recipient')
  t.match(
    await mail(sender, 'root@example.org', { recipient_count: '2' }),
    /^reject/,
    'a second one',
  )
  t.match(await mail(sender, ''), /^reject/, 'recipients that are not told')
  t.match(await mail(sender.replace('@', 'a@'), 'root@example.org'), /^reject/, 'a longer note')
  const stranger = new OwnMail(randomBytes(32), clock.now)
  const forged = stranger.envelopeSender('mtpolicyd@mail.example.org', 'root@example.org', '+')
  t.match(await mail(forged, 'root@example.org'), /^reject/, 'the note of another host')
  clock.jump(2 * DAY)
  t.equal(await mail(sender, 'root@example.org'), 'dunno', 'it waited in a queue for two days')
  clock.jump(2 * DAY)
  t.match(await mail(sender, 'root@example.org'), /^reject/, 'a note that was collected')
})

t.test('nothing is added to a name that the mail server would not know then', async t => {
  const own = new OwnMail(randomBytes(32), Date.now)
  t.equal(own.envelopeSender('root@example.org', 'root', ''), 'root@example.org')
  t.equal(own.envelopeSender('mail-admin@example.org', 'root', '-'), 'mail-admin@example.org')
  t.match(own.envelopeSender('mail-admin@example.org', 'root', '+'), /^mail-admin\+mtpolicyd-/)
})

t.test('alerts about alerts cannot be made', async t => {
  const mail = new NotedDelivery('mail', 'all')
  const desk = await deskWorld(t, [mail])
  const own = desk.desk.isOwn
  t.ok(own, 'mails are sent, so mail of ours is looked for')
  // Each alert is sent by an account that is beyond its limit itself.
  let sent = 0
  mail.answer = async () => {
    sent++
    const sender = desk.desk.envelopeSender('mtpolicyd@mail.example.org', 'root@example.org', '+')
    await send(desk, 'relay', 1, { sender, recipient: 'root@example.org' })
    return { is: 'done' }
  }
  await send(desk, 'relay', 10)
  t.match(await send(desk, 'relay', 1), /^reject/)
  await until(() => desk.desk.status().deliveries[0]?.waiting === 2)
  for (let i = 0; i < 180; i++) await desk.clock.advance(60_000)
  t.equal(sent, 1, 'one mail about both, and none about that mail')
})
