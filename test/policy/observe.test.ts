/** `mode = observe`: everything is decided, counted and logged, and nothing is refused. */

import t from 'tap'
import { definePlugin } from '../../daemon/policy/plugin.ts'
import { chain, GERMAN, makeWorld, plugin } from '../support/world.ts'

const asked: string[] = []

/** Notes that it was asked. */
const witness = definePlugin({
  name: 'Witness',
  summary: 'Notes.',
  settings: {},
  create:
    (_, { name }) =>
    () => {
      asked.push(name)
      return undefined
    },
})

/** Does what nothing takes back. */
const bomb = definePlugin({
  name: 'Bomb',
  summary: 'Explodes.',
  hasEffects: true,
  settings: {},
  create: () => () => {
    asked.push('bomb')
    return 'reject bang'
  },
})

const broken = definePlugin({
  name: 'Broken',
  summary: 'Fails.',
  settings: {},
  create: () => () => Promise.reject(new Error('broken')),
})

const plugins = [witness, bomb, broken]
const MAIL = {
  protocol_state: 'END-OF-MESSAGE',
  sasl_username: 'alice',
  client_address: GERMAN,
  recipient_count: '2',
}

t.beforeEach(() => {
  asked.length = 0
})

t.test('every plugin behind an objection is asked, and the limit counts', async t => {
  const blocks = [
    plugin('Action', 'action = "reject first"', 'first'),
    plugin('Witness', '', 'between'),
    plugin('SendingLimit', 'threshold = 3', 'limit'),
    plugin('Action', 'action = "defer second"', 'second'),
    plugin('Witness', '', 'last'),
  ]
  const world = await makeWorld(chain(blocks.join(''), 'mode = observe'), { plugins })
  t.equal(await world.ask({ ...MAIL, instance: '1' }), 'dunno')
  t.strictSame(asked, ['between', 'last'])
  const [first] = world.verdicts
  t.match(first, { verdict: 'dunno', observed: 'reject first', by: 'first', used: 2, limit: 3 })
  await world.ask({ ...MAIL, instance: '2' })
  t.match(world.verdicts.at(-1), { verdict: 'dunno', used: 4, limit: 3 }, 'beyond the limit, too')
})

t.test('what would have let the mail pass ends the chain as ever', async t => {
  const blocks = plugin('Action', 'action = ok') + plugin('Witness')
  const world = await makeWorld(chain(blocks, 'mode = observe'), { plugins })
  t.equal(await world.ask(MAIL), 'ok')
  t.strictSame(asked, [])
})

t.test('blocks inside a plugin object in the name of the outermost one', async t => {
  const inner = plugin('Action', 'action = "reject inside"', 'inner')
  const middle = plugin('Condition', `key = sasl_username\nmatch = alice\n${inner}`, 'middle')
  const outer = plugin('Condition', `key = sasl_username\nmatch = alice\n${middle}`, 'outer')
  for (const [mode, verdict] of [
    ['enforce', 'reject inside'],
    ['observe', 'dunno'],
  ] as const) {
    const world = await makeWorld(chain(outer + plugin('Witness'), `mode = ${mode}`), { plugins })
    t.equal(await world.ask(MAIL), verdict, mode)
    t.match(world.verdicts[0], { by: 'outer' })
  }
  t.strictSame(asked, ['witness'])
})

t.test('a plugin with an effect outside is not run', async t => {
  const world = await makeWorld(chain(plugin('Bomb'), 'mode = observe'), { plugins })
  t.equal(await world.ask(MAIL), 'dunno')
  t.strictSame(asked, [])
  t.notOk(world.verdicts[0]?.observed)
})

t.test(
  'a plugin that fails keeps no mail, whatever on_failure says, and the rest is asked',
  async t => {
    for (const [onFailure, observed] of [
      ['dunno', undefined],
      ['defer', 'defer the mail could not be checked, try again later'],
      ['close', 'close'],
    ] as const) {
      asked.length = 0
      const text = chain(
        plugin('Broken') + plugin('Witness'),
        `mode = observe\non_failure = ${onFailure}`,
      )
      const world = await makeWorld(text, { plugins })
      t.equal(await world.ask(MAIL), 'dunno', onFailure)
      t.strictSame(asked, ['witness'], onFailure)
      t.strictSame([world.verdicts[0]?.observed], [observed], `on_failure = ${onFailure}`)
      t.match(world.errors, [/^plugin broken failed: broken/])
    }
  },
)

t.test(
  'an action that Eval keeps is kept, as without observe mode, and is not an objection',
  async t => {
    const deep = plugin('Stress', plugin('Action', 'action = "reject kept"', 'inner'), 'stress')
    const blocks = [
      plugin('Eval', `store_in = said\n${deep}${plugin('Witness', '', 'behind')}`, 'eval'),
      plugin(
        'Condition',
        `key = s:said\nmatch = "reject kept"\n${plugin('Witness', '', 'within')}`,
      ),
    ].join('')
    for (const mode of ['enforce', 'observe']) {
      asked.length = 0
      const world = await makeWorld(chain(blocks, `mode = ${mode}`), { plugins })
      t.equal(await world.ask({ ...MAIL, instance: '1', stress: 'yes' }), 'dunno', mode)
      t.strictSame(asked, ['within'], mode)
      t.match(world.verdicts, [{ verdict: 'dunno', observed: undefined }], mode)
    }
  },
)
