/** Mail to the user whose account it is: what about, in which language, and above all when not. */

import t, { type Test } from 'tap'
import type { Alert } from '../../daemon/alerts/alert.ts'
import { addressOfAccount } from '../../daemon/alerts/delivery/mailboxes.ts'
import type { Letter } from '../../daemon/alerts/delivery/post.ts'
import { MailTexts } from '../../daemon/alerts/delivery/texts.ts'
import { userDelivery } from '../../daemon/alerts/delivery/user-mail.ts'
import type { UserAlerts } from '../../daemon/alerts/delivery.ts'
import { alertOf } from '../support/alerts.ts'

const { signal } = new AbortController()
const DAY = 86_400_000

function toUsers(
  t: Test,
  user: Exclude<UserAlerts, 'off'> = 'all',
  stolen: readonly string[] = [],
) {
  const letters: Letter[] = []
  const delivery = userDelivery({
    user,
    language: 'de',
    defaultDomain: 'example.org',
    hostName: 'mail.example.org',
    texts: new MailTexts(t.testdir({}), line => t.fail(line)),
    isStolen: account => stolen.includes(account),
    post: {
      async send(letter) {
        letters.push(letter)
        return { is: 'done' }
      },
      held: () => ({ count: 0, oldest: undefined }),
      hasLeft: async () => ({ is: 'done' }),
      problem: () => undefined,
    },
  })
  /** As the outbox does it. */
  const tell = async (...alerts: readonly Alert[]): Promise<void> => {
    const wanted = alerts.filter(alert => delivery.wants(alert))
    if (wanted.length > 0) t.strictSame(await delivery.deliver(wanted, signal), { is: 'done' })
  }
  return { delivery, letters, tell }
}

const near = alertOf()
const atLimit = alertOf({ kind: 'account-at-limit', id: '1764575000124-1' })

t.test('warn is about a limit that is near, all about one that is reached, too', async t => {
  const warn = toUsers(t, 'warn')
  t.equal(warn.delivery.batches, 'account')
  t.strictSame([near, atLimit].map(warn.delivery.wants), [true, false])
  const all = toUsers(t, 'all')
  t.strictSame([near, atLimit].map(all.delivery.wants), [true, true])
  for (const kind of ['country-refused', 'account-blocked', 'test', 'limit-near', 'geoip-old']) {
    t.notOk(all.delivery.wants(alertOf({ kind })), kind)
  }
  t.notOk(all.delivery.wants({ ...near, state: 'cleared' }))
})

t.test('several alerts about an account are one mail, about the limit that is reached', async t => {
  const { letters, tell } = toUsers(t)
  await tell(near, atLimit)
  t.match(letters, [
    {
      to: 'alice@example.org',
      subject: 'Ihr Limit für den Mailversand ist erreicht',
      language: 'de',
      alert: `account-at-limit raised ${atLimit.id}`,
      id: `${atLimit.id}.user`,
    },
  ])
  t.equal(letters.length, 1)
})

t.test('an account whose mail came from a refused country gets none for a day', async t => {
  const { letters, tell } = toUsers(t)
  const refused = alertOf({ kind: 'country-refused' })
  await tell(refused, near)
  await tell(
    { ...refused, state: 'cleared', at: near.at + 1 },
    { ...atLimit, at: near.at + DAY - 1 },
  )
  t.strictSame(letters, [])
  await tell(alertOf({ account: 'bob@example.org' }))
  t.equal(letters.length, 1, 'others do')
  await tell({ ...near, at: near.at + DAY })
  t.equal(letters.length, 2, 'and so does it after that')
})

t.test('a blocked account gets none until it is released', async t => {
  const { delivery, letters, tell } = toUsers(t)
  t.ok(delivery.wants(near), 'it has been waiting for its turn')
  const blocked = alertOf({ kind: 'account-blocked' })
  await tell(blocked)
  t.strictSame(await delivery.deliver([near], signal), { is: 'done' })
  t.strictSame(letters, [])
  await tell({ ...blocked, state: 'cleared' }, atLimit)
  t.equal(letters.length, 1)
})

t.test('what the daemon knows from before a restart counts, too', async t => {
  const { letters, tell } = toUsers(t, 'all', ['alice@example.org'])
  await tell(near, atLimit)
  t.strictSame(letters, [])
})

t.test('a block while a mail is being written stops it', async t => {
  const { delivery, letters } = toUsers(t)
  const written = delivery.deliver([near], signal)
  delivery.wants(alertOf({ kind: 'account-blocked' }))
  t.strictSame(await written, { is: 'done' })
  t.strictSame(letters, [])
})

t.test('only what is certainly an address is mailed to', async t => {
  const of = (account: string) => addressOfAccount(account, 'example.org')
  t.equal(of('alice'), 'alice@example.org')
  t.equal(of("o'neill+x@sub.example.net"), "o'neill+x@sub.example.net")
  t.equal(of('jürgen@größe.example'), 'jürgen@größe.example')
  t.equal(addressOfAccount('alice', ''), 'alice')
  for (const account of [
    '',
    '-alice',
    'a b',
    'a,b@example.net',
    'a@b@example.net',
    '"x"@example.net',
    '|/bin/sh',
    '/etc/passwd',
    'DOMAIN\\alice',
    'a<b>@example.net',
    'a\n@example.net',
    'a\u202e@example.net',
    '@example.net',
    'a@',
    'a@-x',
    `${'a'.repeat(400)}@example.net`,
  ]) {
    t.equal(of(account), undefined, JSON.stringify(account))
  }
  const { delivery } = toUsers(t)
  t.match(await delivery.deliver([alertOf({ account: 'a b' })], signal), {
    is: 'refused',
    why: '"a b" is not a mail address',
  })
})

t.test('ten thousand stolen accounts are remembered, and no more', async t => {
  const { letters, tell } = toUsers(t)
  await tell(alertOf({ kind: 'country-refused', account: 'first@example.org' }))
  for (let at = 0; at < 10_000; at++) {
    await tell(alertOf({ kind: 'country-refused', account: `user${at}@example.org` }))
  }
  await tell(alertOf({ account: 'user0@example.org' }))
  t.equal(letters.length, 0)
  await tell(alertOf({ account: 'first@example.org' }))
  t.equal(letters.length, 1)
})
