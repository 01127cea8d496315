/** When answers leave: after what they rest on is durable, together, and not later than they must. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { makeTurn } from '../../daemon/wire/turn.ts'

/** A turn that writes down what happens in it. */
function watched(most?: number, settle: () => boolean = () => true) {
  const happened: string[] = []
  const turn = makeTurn(
    () => {
      happened.push('settled')
      return settle()
    },
    most === undefined ? undefined : () => most,
  )
  const answer = (name: string): void =>
    turn(isDurable => happened.push(isDurable ? name : `${name} uncounted`))
  return { happened, answer }
}

t.test('the answers of a turn leave together, after what they rest on is durable', async t => {
  const { happened, answer } = watched()
  answer('a')
  answer('b')
  t.same(happened, [], 'nobody has left yet')
  await nextTurn()
  t.same(happened, ['settled', 'a', 'b'])
})

t.test('of a large turn the first leave while the rest is still to be read', async t => {
  const { happened, answer } = watched(2)
  // Each request is read in a callback of its own; microtasks run behind each.
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    answer(name)
    await Promise.resolve()
  }
  t.same(happened, ['settled', 'a', 'b', 'settled', 'c', 'd'])
  await nextTurn()
  t.same(happened.slice(6), ['settled', 'e'])
  await nextTurn()
  t.equal(happened.length, 8, 'and nothing is settled for nobody')
})

t.test('an answer that comes while others leave is settled for itself', async t => {
  const happened: string[] = []
  const turn = makeTurn(() => {
    happened.push('settled')
    return true
  })
  turn(() => {
    happened.push('a')
    turn(() => happened.push('b'))
  })
  await nextTurn()
  await nextTurn()
  t.same(happened, ['settled', 'a', 'settled', 'b'])
})

t.test('where the count cannot be kept, each answer is told', async t => {
  const { happened, answer } = watched(2, () => false)
  for (const name of ['a', 'b', 'c']) answer(name)
  await nextTurn()
  t.same(happened, ['settled', 'a uncounted', 'b uncounted', 'c uncounted'])
})
