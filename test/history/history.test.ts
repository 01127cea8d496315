/** What the history keeps of verdicts, with its real thread and files. */

import t from 'tap'
import { systemClock as clock } from '../../daemon/system/clock.ts'
import { openHistory, verdict } from './some-mail.ts'

const HOUR = 3_600_000
const day = () => ({ since: clock.now() - 24 * HOUR, until: clock.now() })

t.test('who sends is found at once, the largest first', async t => {
  const history = openHistory(t)
  history.note(verdict(clock, { user: 'Alice', recipients: 3, size: 500 }))
  history.note(verdict(clock, { user: 'alice', recipients: 2, size: 700, client: '198.51.100.9' }))
  history.note(verdict(clock, { user: 'bob', recipients: 1, country: 'FR' }))
  const top = await history.top({ ...day(), by: 'recipients', most: 20 })
  t.strictSame(top, [
    {
      account: 'alice',
      messages: 2,
      recipients: 5,
      refused: 0,
      bytes: 1200,
      countries: ['DE'],
      networks: 2,
    },
    {
      account: 'bob',
      messages: 1,
      recipients: 1,
      refused: 0,
      bytes: 1000,
      countries: ['FR'],
      networks: 1,
    },
  ])
  t.strictSame(
    (await history.top({ ...day(), by: 'messages', most: 1 })).map(one => one.account),
    ['alice'],
  )
})

t.test('an account is known with where it was, its last messages and its refusals', async t => {
  const history = openHistory(t)
  const code = history.nextCode()
  history.note(verdict(clock, { user: 'alice', clientName: 'laptop.example.org' }))
  history.note(
    verdict(clock, {
      user: 'alice',
      action: 'reject too much',
      by: 'limit',
      code,
      instance: 'refused.1',
      queueId: '',
      client: '2001:db8:1:2:3::4',
      country: 'US',
      clientName: 'unknown',
    }),
  )
  history.explained(code, [
    {
      plugin: 'limit',
      module: 'SendingLimit',
      saw: { used: 3 },
      outcome: 'action: reject',
      place: 'x.conf:3',
    },
  ])
  const known = await history.account('ALICE')
  t.ok(known)
  t.strictSame(known?.account, 'alice')
  t.strictSame(known?.countries.map(({ name, messages }) => [name, messages]).toSorted(), [
    ['DE', 1],
    ['US', 0],
  ])
  t.strictSame(known?.networks.map(one => one.name).toSorted(), [
    '192.0.2.0/24',
    '2001:db8:1:2::/64',
  ])
  t.strictSame(
    known?.clients.map(one => one.name),
    ['laptop.example.org'],
  )
  t.strictSame(
    known?.messages.map(one => one.action),
    ['reject too much', 'dunno'],
  )
  t.equal(known?.refusals.length, 1)
  for (const key of [{ code }, { instance: 'refused.1' }]) {
    const [refusal, ...more] = await history.refusals(key)
    t.strictSame(more, [])
    t.equal(refusal?.code, code)
    t.equal(refusal?.by, 'limit')
    t.equal(refusal?.attributes.client_address, '2001:db8:1:2:3::4')
    t.equal(refusal?.facts.country, 'US')
    t.strictSame(refusal?.steps?.[0]?.saw, { used: 3 })
  }
  t.equal(await history.account('carol'), undefined)
  t.strictSame(await history.accounts('al', 10), ['alice'])
})
