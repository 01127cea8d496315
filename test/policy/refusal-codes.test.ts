/**
 * A refusal ends with the code by which `mtpolicyctl why` finds it. Real chains and plugins; codes are
 * given in a row, as a history gives them.
 */

import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { silentLog } from '../../daemon/assembly/configuration.ts'
import { decisionCode, readDecisionCode } from '../../daemon/policy/decision-code.ts'
import { definePlugin } from '../../daemon/policy/plugin.ts'
import type { Fields } from '../../daemon/policy/ports/log.ts'
import { RefusalCodes } from '../../daemon/policy/refusal-codes.ts'
import { PolicyRequest } from '../../daemon/policy/request.ts'
import { oneLine, refusesMail, withCode } from '../../daemon/policy/verdict.ts'
import { verdictFields } from '../../daemon/policy/verdict-record.ts'
import { makeEngine } from '../../daemon/run/engine.ts'
import { LookupError } from '../../daemon/system/errors.ts'
import { runs } from '../support/fuzz.ts'
import { virtualClock } from '../support/virtual-clock.ts'
import { CHINESE, chain, GERMAN, makeWorld, PORT, plugin } from '../support/world.ts'

const CODED = / \(([A-Z2-9]{3}-[A-Z2-9]{3})\)$/
const MAIL = {
  protocol_state: 'END-OF-MESSAGE',
  sasl_username: 'alice',
  client_address: GERMAN,
  recipient_count: '2',
  instance: '1.2',
}
const silent = definePlugin({
  name: 'Silent',
  summary: 'Its server does not answer.',
  settings: {},
  create: () => () => {
    throw new LookupError('no answer')
  },
})
const slow = definePlugin({
  name: 'Slow',
  summary: 'Takes a minute.',
  settings: {},
  create:
    (_, { clock }) =>
    () =>
      clock.sleep(60_000).then(() => 'reject too late'),
})

interface Asked {
  /** What Postfix is told; undefined: nothing. */
  readonly told: string | undefined
  readonly logged: Fields
}

interface Options {
  readonly withHistory?: boolean
  readonly codes?: RefusalCodes
}

/** Answers of one configuration; `uncounted`: its counts cannot be written. */
async function answersOf(
  text: string,
  { withHistory = true, codes = new RefusalCodes() }: Options = {},
) {
  const clock = virtualClock()
  const world = await makeWorld(text, { clock, plugins: [silent, slow] })
  const logged: Fields[] = []
  let given = 0
  const answer = makeEngine({
    loaded: world.loaded,
    clock,
    log: silentLog,
    sinks: [record => void logged.push(verdictFields(record))],
    codeFor: withHistory
      ? (request, action) => codes.of(request, action, () => decisionCode(given++))
      : undefined,
  })
  const ask = async (
    attributes: Readonly<Record<string, string>> = MAIL,
    { uncounted = false, gone = false } = {},
  ): Promise<Asked> => {
    const request = new PolicyRequest(new Map(Object.entries(attributes)), {
      id: 1,
      endpoint: PORT,
    })
    let isDecided = false
    const asked = Promise.resolve(answer(request)).finally(() => {
      isDecided = true
    })
    for (let turn = 0; turn < 10; turn++) await clock.advance(0)
    while (!isDecided) await clock.advance(1000)
    const judged = await asked
    const { action, silent } = uncounted ? judged.uncounted() : judged.verdict
    assert.equal(judged.verdict.action, action, 'it is one text, however it is asked for')
    judged.left(!gone)
    return { told: silent ? undefined : action, logged: logged.at(-1) ?? {} }
  }
  return { ask, given: () => given, world }
}

const action = (text: string): string => chain(plugin('Action', `action = "${text}"`))
const LIMIT = plugin('SendingLimit', 'threshold = 1', 'limit')

for (const [what, text, begins] of [
  ['reject', action('reject'), 'reject'],
  ['a text', action('reject Not today'), 'reject Not today'],
  ['upper case', action('REJECT 5.7.1 No'), 'REJECT 5.7.1 No'],
  ['an enhanced status code alone', action('reject 5.7.1'), 'reject 5.7.1'],
  ['defer', action('defer'), 'defer'],
  ['defer_if_permit', action('defer_if_permit 4.7.1 Later'), 'defer_if_permit 4.7.1 Later'],
  ['4xx', action('450 4.7.1 Later'), '450 4.7.1 Later'],
  ['421', action('421 4.7.0 Bye'), '421 4.7.0 Bye'],
  ['5xx', action('554 No'), '554 No'],
  ['umlauts', action('reject Heute nicht, Grüße'), 'reject Heute nicht, Grüße'],
  ['a blank in front', action(' reject No'), 'reject No'],
  ['a limit', chain(LIMIT), /^reject 5\.7\.1 This message has 2 recipients, /],
  [
    'a limit that defers',
    chain(plugin('SendingLimit', 'threshold = 1\nexcess = defer')),
    /^defer 4\.7\.1 This message/,
  ],
  [
    'a limit that answers a number',
    chain(plugin('SendingLimit', 'threshold = 1\nexcess = 550')),
    /^550 5\.7\.1 This message/,
  ],
  [
    'too many recipients',
    chain(plugin('SendingLimit', 'most_recipients = 1')),
    'reject 5.5.3 A message may have 1 recipient at most; please send it in several parts',
  ],
  [
    'the country',
    chain(plugin('AllowedCountries', 'countries = AT')),
    /^reject 5\.7\.1 Your account may not .* \(DE, 198\.51\.100\.7\); contact your mail administrator/,
  ],
  [
    'German',
    chain(plugin('SendingLimit', 'threshold = 1\nlanguage = de')),
    /^reject 5\.7\.1 Diese Nachricht hat 2 Empfaenger, /,
  ],
  [
    'French',
    chain(plugin('AllowedCountries', 'countries = AT\nlanguage = fr')),
    /^reject 5\.7\.1 Votre compte ne peut pas /,
  ],
  [
    'a nested block',
    chain(
      plugin(
        'Condition',
        `key = sasl_username\nmatch = alice\n${plugin('Action', 'action = reject Inner')}`,
      ),
    ),
    'reject Inner',
  ],
  [
    'a plugin that fails',
    chain(plugin('Silent'), 'on_failure = defer'),
    'defer the mail could not be checked, try again later',
  ],
  [
    'a request that is late',
    chain(plugin('Slow'), 'on_failure = defer\nrequest_timeout = 2'),
    'defer the mail could not be checked, try again later',
  ],
  [
    'a limit, after a plugin has taken all the time',
    chain(plugin('Slow') + LIMIT, 'request_timeout = 2'),
    /^reject 5\.7\.1 This message has 2 recipients, /,
  ],
] as const) {
  t.test(`a refusal ends with its code: ${what}`, async t => {
    const { ask } = await answersOf(text)
    const { told = '', logged } = await ask()
    const code = CODED.exec(told)?.[1] ?? ''
    t.equal(readDecisionCode(code), code)
    const plain = told.replace(CODED, '')
    t.match(plain, begins)
    t.match(logged, { verdict: told, code })
    if (/limit|number|recipients|country|German|French/.test(what)) t.match(told, /^[ -~]*$/)
    const { told: without, logged: old } = await (
      await answersOf(text, { withHistory: false })
    ).ask()
    t.equal(without?.trimStart(), plain, 'without a history it is the same, and has none')
    t.notOk('code' in old)
    t.strictSame(
      { ...logged, verdict: '', code: undefined },
      { ...old, verdict: '', code: undefined },
      'the log says the same of both',
    )
  })
}

for (const [what, text] of [
  ['dunno', action('dunno')],
  ['a number alone, which Postfix takes for OK', action('550')],
  ['hold', action('hold for a look')],
  ['a class of restrictions', action('my_class')],
  ['a word that begins alike', action('rejected')],
  ['a warning', action('warn reject')],
  ['no answer', chain(plugin('Silent'), 'on_failure = close')],
  ['mode = observe', chain(plugin('Action', 'action = reject No'), 'mode = observe')],
  ['a limit in mode = observe', chain(LIMIT, 'mode = observe')],
] as const) {
  t.test(`what refuses no mail has no code: ${what}`, async t => {
    const { ask, given } = await answersOf(text)
    const { told, logged } = await ask()
    t.notMatch(told ?? '', /\(.*\)$/)
    t.notOk('code' in logged)
    t.equal(given(), 0, 'and none is used up')
    const { told: without } = await (await answersOf(text, { withHistory: false })).ask()
    t.equal(told, without)
  })
}

t.test('mail that could not be counted is deferred with a code', async t => {
  const text = chain(plugin('SendingLimit', 'threshold = 9'), 'on_failure = defer')
  const { ask } = await answersOf(text)
  const { told = '', logged } = await ask(MAIL, { uncounted: true })
  t.match(told, /^defer the mail could not be counted, try again later \(/)
  t.match(logged, { why: 'uncounted', code: CODED.exec(told)?.[1], decided: undefined })
  const { ask: askRefused } = await answersOf(chain(LIMIT, 'on_failure = defer'))
  const refused = await askRefused(MAIL, { uncounted: true })
  t.match(refused.told, /^defer the mail could not be counted, try again later \(...-...\)$/)
  t.match(refused.logged, { decided: /^reject 5\.7\.1 This message has [^(]*$/ })
  const { ask: askClosing } = await answersOf(chain(LIMIT, 'on_failure = close'))
  const closed = await askClosing(MAIL, { uncounted: true })
  t.equal(closed.told, undefined)
  t.notOk('code' in closed.logged)
})

t.test('an answer that nobody got has no code', async t => {
  const { ask } = await answersOf(action('reject No'))
  const { logged } = await ask(MAIL, { gone: true })
  t.match(logged, { why: 'gone', decided: 'reject No' })
  t.notOk('code' in logged)
  t.match((await ask()).told, / \(...-...\)$/)
})

t.test('the same message that is asked again gets the same answer, its code included', async t => {
  const { ask, given } = await answersOf(
    chain(plugin('AllowedCountries', 'countries = DE', 'countries') + LIMIT),
  )
  const first = await ask()
  t.equal((await ask()).told, first.told)
  t.equal((await ask({ ...MAIL, recipient_count: '2', queue_id: 'ABC' })).told, first.told)
  t.equal(given(), 1)
  const others = [
    { ...MAIL, instance: '1.3' },
    { ...MAIL, protocol_state: 'DATA' },
    { ...MAIL, client_address: CHINESE },
  ]
  const told = new Set([first.told])
  for (const other of others) told.add((await ask(other)).told)
  t.equal(told.size, 4, 'another message, stage or answer is another decision')
  t.equal((await ask()).told, first.told)
})

t.test(
  'each recipient that is refused has a code, and the same one when it is repeated',
  async t => {
    const { ask, given } = await answersOf(action('reject No'))
    const rcpt = (recipient: string) => ask({ ...MAIL, protocol_state: 'RCPT', recipient })
    const [a, b, again] = [await rcpt('a@x'), await rcpt('b@x'), await rcpt('a@x')]
    t.not(a.told, b.told)
    t.equal(a.told, again.told)
    t.equal(given(), 2)
  },
)

t.test('codes are remembered over a reload, and not for ever', async t => {
  const codes = new RefusalCodes()
  const before = await answersOf(action('reject No'), { codes })
  const { told } = await before.ask()
  const after = await answersOf(action('reject No'), { codes })
  t.equal((await after.ask()).told, told)
  t.equal(after.given(), 0)
  let given = 100
  const request = (instance: string) =>
    new PolicyRequest(new Map(Object.entries({ ...MAIL, instance })), { id: 1, endpoint: PORT })
  const next = (): string => decisionCode(given++)
  for (let i = 0; i < 10_000; i++) codes.of(request(`m${i}`), 'reject No', next)
  await after.ask()
  t.equal(after.given(), 1, 'ten thousand later it is forgotten')
  t.equal(codes.of(request('m9999'), 'reject No', next), decisionCode(given - 1))
  t.not(codes.of(request(''), 'reject', next), codes.of(request(''), 'reject', next))
  const long = 'x'.repeat(3000)
  t.not(codes.of(request(long), 'reject', next), codes.of(request(long), 'reject', next))
})

t.test('a code that there is none of is none', async t => {
  const world = await makeWorld(action('reject No'))
  const answer = makeEngine({
    loaded: world.loaded,
    clock: virtualClock(),
    log: silentLog,
    sinks: [],
    codeFor: () => '',
  })
  const request = new PolicyRequest(new Map(Object.entries(MAIL)), { id: 1, endpoint: PORT })
  t.equal((await answer(request)).verdict.action, 'reject No')
})

t.test('of a text without an end the code is not cut off', async t => {
  const told = withCode(oneLine(`reject ${'x'.repeat(5000)}`), 'K3F-9QT')
  t.equal(told, `reject ${'x'.repeat(4096 - 7 - 10)} (K3F-9QT)`)
  const pair = withCode(oneLine(`reject ${'😀'.repeat(3000)}`), 'K3F-9QT')
  t.ok(pair.length <= 4096 && pair.isWellFormed(), 'nor is a letter cut in two')
})

t.test('whatever the text, an answer is one line that ends with the code', async () => {
  const word = fc.constantFrom('reject', 'DEFER', 'defer_if_permit', '450', '550', ' reject')
  const text = fc.string({ unit: 'binary', maxLength: 6000 })
  fc.assert(
    fc.property(word, text, fc.nat(10_000), (word, text, number) => {
      const plain = oneLine(`${word} ${text}`)
      if (!refusesMail(plain)) return
      const told = withCode(plain, decisionCode(number))
      assert.equal(oneLine(told), told, 'the wire changes nothing of it')
      assert.ok(told.length <= 4096)
      assert.equal(CODED.exec(told)?.[1], decisionCode(number))
      const without = told.replace(CODED, '')
      assert.ok(without.isWellFormed() && refusesMail(`${without} `))
      if (plain.length <= 4096 - 10) assert.equal(without, plain.trimStart())
    }),
    { numRuns: runs(2000) },
  )
})
