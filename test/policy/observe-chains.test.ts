/**
 * Random chains in both modes: observe mode runs every plugin that enforce mode runs, counts what it
 * counts, and lets everything pass; enforce mode keeps no count of what on_failure holds back.
 */

import t from 'tap'
import { definePlugin, type MaybePromise, type Outcome } from '../../daemon/policy/plugin.ts'
import { runs } from '../support/fuzz.ts'
import { chain, makeWorld, NOON, plugin } from '../support/world.ts'

const DAY = { name: new Date(NOON).toISOString().slice(0, 10), endsAt: 0 }
const MAIL = {
  protocol_state: 'END-OF-MESSAGE',
  sasl_username: 'a',
  instance: '1',
  recipient_count: '2',
  stress: 'yes',
}

let ran: string[] = []
const acting = (name: string, act: () => MaybePromise<Outcome>) =>
  definePlugin({
    name,
    summary: 'Notes that it ran.',
    settings: {},
    create:
      (_, { name }) =>
      () => {
        ran.push(name)
        return act()
      },
  })

const later = (outcome: Outcome): Promise<Outcome> =>
  new Promise(resolve => setImmediate(() => resolve(outcome)))
const plugins = [
  acting('Nothing', () => undefined),
  acting('NothingLater', () => later(undefined)),
  acting('Fails', () => {
    throw new Error('broken')
  }),
  acting('FailsLater', () => Promise.reject(new Error('broken'))),
  acting('Unknown', () => 'nonsense'),
  acting('Ok', () => 'ok'),
  acting('Refuses', () => 'reject no'),
  acting('DefersLater', () => later('defer no')),
]
const leaves = [...plugins.map(({ name }) => name), 'SendingLimit', 'SendingLimit']

const below = (most: number): number => Math.floor(Math.random() * most)
const pick = <T>(...of: readonly [T, ...T[]]): T => of[below(of.length)] ?? of[0]

function randomBlocks(nextName: () => string, count: number, depth: number): string {
  return Array.from({ length: count }, () => {
    const inside = depth > 0 && below(5) < 2
    if (!inside) {
      const module = leaves[below(leaves.length)] ?? 'Nothing'
      const limit = module === 'SendingLimit' ? 'threshold = 1000\n' : ''
      return plugin(module, limit + pick('', '', '', 'on_error = continue'), nextName())
    }
    const inner = randomBlocks(nextName, 1 + below(3), depth - 1)
    const key = `k${below(2)}`
    return pick(
      plugin('Eval', `store_in = ${key}\n${inner}`, nextName()),
      plugin('Condition', `key = s:${key}\nre_match = "."\n${inner}`, nextName()),
      plugin('Stress', inner, nextName()),
    )
  }).join('')
}

t.test('random chains', async t => {
  for (let run = 0; run < runs(300); run++) {
    let names = 0
    const blocks = randomBlocks(() => `p${names++}`, 1 + below(5), 3)
    const globals =
      `on_failure = ${pick('dunno', 'defer', 'close')}\n` +
      `unknown_action = ${pick('fail', 'pass')}\n`
    const decide = async (mode: string) => {
      ran = []
      const world = await makeWorld(chain(blocks, `mode = ${mode}\n${globals}`), { plugins })
      const answer = await world.ask(MAIL)
      const counts: Record<string, number> = {}
      for (let name = 0; name < names; name++) {
        const used = await world.ledger.used(`p${name}`, 'a', DAY, NOON)
        if (used > 0) counts[`p${name}`] = used
      }
      world.close()
      return { answer, counts, ran, verdicts: world.verdicts }
    }
    const enforced = await decide('enforce')
    const observed = await decide('observe')
    const isHeldBack = enforced.answer === undefined || /^defer the mail/.test(enforced.answer)
    const mistakes = [
      enforced.ran.some(name => !observed.ran.includes(name)) && 'a plugin was not run',
      Object.entries(enforced.counts).some(([name, used]) => observed.counts[name] !== used) &&
        'counted differently',
      (observed.answer === undefined || /^(?:reject|defer)/.test(observed.answer)) && 'held back',
      isHeldBack && Object.keys(enforced.counts).length > 0 && 'held back and counted',
      enforced.verdicts.length + observed.verdicts.length !== 2 && 'not one verdict each',
    ].filter(mistake => mistake !== false)
    if (mistakes.length > 0) t.fail(mistakes.join(', '), { blocks, globals, enforced, observed })
  }
  t.pass('all of them')
})
