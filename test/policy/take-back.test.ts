/** What on_failure holds back is not counted, and everything else is. */

import t from 'tap'
import { silentLog } from '../../daemon/assembly/configuration.ts'
import { definePlugin } from '../../daemon/policy/plugin.ts'
import { PolicyRequest } from '../../daemon/policy/request.ts'
import { makeEngine } from '../../daemon/run/engine.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { chain, makeWorld, NOON, PORT, plugin } from '../support/world.ts'

const broken = definePlugin({
  name: 'Broken',
  summary: 'Fails while it is broken.',
  settings: {},
  create: () => request =>
    request.text('sender') === '' ? undefined : Promise.reject(new Error('broken')),
})

const MAIL = { sasl_username: 'alice', recipient: 'b@example.org', recipient_count: '2' }
const LIMIT = plugin('SendingLimit', 'threshold = 3', 'limit')
const BROKEN = plugin('Broken')
const DAY = { name: new Date(NOON).toISOString().slice(0, 10), endsAt: 0 }

for (const stage of ['DATA', 'END-OF-MESSAGE']) {
  for (const onFailure of ['defer', 'close']) {
    t.test(`${stage}: a plugin behind the limit fails, on_failure = ${onFailure}`, async t => {
      const world = await makeWorld(chain(LIMIT + BROKEN, `on_failure = ${onFailure}`), {
        plugins: [broken],
      })
      const mail = { ...MAIL, protocol_state: stage }
      for (let again = 0; again < 3; again++) {
        const answer = await world.ask({ ...mail, instance: `f${again}`, sender: 'x' })
        if (onFailure === 'close') t.equal(answer, undefined)
        else t.match(answer, /^defer /)
        t.equal(await world.ledger.used('limit', 'alice', DAY, NOON), 0)
      }
      t.equal(await world.ask({ ...mail, instance: 'f0', sender: '' }), 'dunno')
      t.equal(await world.ledger.used('limit', 'alice', DAY, NOON), 2, 'the one that passed')
    })
  }
}

t.test('RCPT: a recipient that is deferred is not reserved', async t => {
  const world = await makeWorld(chain(LIMIT + BROKEN, 'on_failure = defer'), { plugins: [broken] })
  const mail = { ...MAIL, protocol_state: 'RCPT', instance: '1' }
  for (let again = 0; again < 5; again++) {
    const recipient = `${again}@example.org`
    t.match(await world.ask({ ...mail, recipient, sender: 'x' }), /^defer /)
  }
  for (let nth = 0; nth < 3; nth++) {
    const recipient = `${nth}@example.net`
    t.equal(await world.ask({ ...mail, recipient, sender: '' }), 'dunno')
  }
})

t.test('the answer of a failure that Eval keeps lets the mail pass: it stays counted', async t => {
  const blocks = LIMIT + plugin('Eval', `store_in = said\n${BROKEN}`, 'eval')
  const world = await makeWorld(chain(blocks, 'on_failure = defer'), { plugins: [broken] })
  const mail = { ...MAIL, protocol_state: 'END-OF-MESSAGE', instance: '1', sender: 'x' }
  t.equal(await world.ask(mail), 'dunno')
  t.equal(await world.ledger.used('limit', 'alice', DAY, NOON), 2)
})

t.test(
  'a failure is reported once, also where it is an action that Postfix does not know',
  async t => {
    const text = chain(
      plugin('Action', 'action = nonsense'),
      'on_failure = close\nunknown_action = fail',
    )
    const world = await makeWorld(text)
    t.equal(await world.ask({ instance: '1' }), undefined)
    t.match(
      world.errors.filter(one => one.startsWith('plugin')),
      { length: 1 },
    )
    t.match(world.loaded.links, [{ link: { tally: { runs: 1, failures: 1 } } }])
  },
)

for (const onFailure of ['defer', 'close']) {
  t.test(
    `on_failure = ${onFailure}: where counts cannot be kept either, the first reason stays`,
    async t => {
      const { loaded } = await makeWorld(chain(LIMIT + BROKEN, `on_failure = ${onFailure}`), {
        plugins: [broken],
      })
      const told: string[] = []
      const answer = makeEngine({
        loaded,
        clock: systemClock,
        log: silentLog,
        sinks: [({ why, sent }) => void told.push(`${why}: ${sent}`)],
      })
      for (const sender of ['', 'x']) {
        const attributes = { ...MAIL, protocol_state: 'END-OF-MESSAGE', instance: sender, sender }
        const request = new PolicyRequest(new Map(Object.entries(attributes)), {
          id: 1,
          endpoint: PORT,
        })
        const judged = await answer(request)
        judged.uncounted()
        judged.left(true)
      }
      const counted = 'defer the mail could not be counted, try again later'
      const checked = 'defer the mail could not be checked, try again later'
      t.strictSame(
        told,
        onFailure === 'defer'
          ? [`uncounted: ${counted}`, `decided: ${checked}`]
          : ['uncounted: undefined', 'failed: undefined'],
      )
    },
  )
}
