/** The short code of a refusal. */

import t from 'tap'
import {
  DECISION_CODES,
  decisionCode,
  readDecisionCode,
} from '../../daemon/policy/decision-code.ts'

t.test('a code is three and three characters, none of which is taken for another', async t => {
  for (const number of [0, 1, 2, 1_000_000, DECISION_CODES - 1]) {
    t.match(decisionCode(number), /^[A-HJKMNP-Z2-9]{3}-[A-HJKMNP-Z2-9]{3}$/)
  }
})

t.test('a hundred thousand refusals in a row have a hundred thousand codes', async t => {
  const codes = new Set<string>()
  for (let number = 0; number < 100_000; number++) codes.add(decisionCode(7_654_321 + number))
  t.equal(codes.size, 100_000)
})

t.test('refusals that follow each other do not look alike', async t => {
  for (let number = 0; number < 1000; number++) {
    const [one, next] = [decisionCode(number), decisionCode(number + 1)]
    const same = [...one].filter((symbol, place) => symbol === next[place] && symbol !== '-')
    t.ok(same.length <= 3, `${one} ${next}`)
  }
})

t.test('after the last number the codes come again', async t => {
  t.equal(decisionCode(DECISION_CODES), decisionCode(0))
})

t.test('a code is understood however it is typed', async t => {
  for (const typed of ['K3F-9QT', 'k3f-9qt', '(K3F-9QT)', 'k3f9qt', ' K3F 9QT ']) {
    t.equal(readDecisionCode(typed), 'K3F-9QT', typed)
  }
})

t.test('what is no code is not taken for one', async t => {
  for (const typed of ['', 'K3F', 'K3F-9QTX', 'K0F-9QT', 'KIF-9QT', 'ü3F-9QT']) {
    t.equal(readDecisionCode(typed), undefined, typed)
  }
})
