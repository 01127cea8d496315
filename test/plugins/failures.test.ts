/** What happens when a plugin fails, waits too long, or a request cannot be given to anybody. */

import t from 'tap'
import { definePlugin } from '../../daemon/policy/plugin.ts'
import { choice, text } from '../../daemon/policy/setting.ts'
import { LookupError } from '../../daemon/system/errors.ts'
import { chain, makeWorld, PORT, plugin } from '../support/world.ts'

/** A dependency that is down, at once or after a while, or a bug of ours. */
const broken = definePlugin({
  name: 'Broken',
  summary: 'Fails.',
  settings: { how: choice(['at once', 'later', 'bug', 'bug later'], { doc: 'How it fails.' }) },
  create:
    ({ how }) =>
    () => {
      const error = how.startsWith('bug')
        ? new TypeError('x is undefined')
        : new LookupError('down')
      if (how.endsWith('later')) return Promise.reject(error)
      throw error
    },
})

/** Answers after everybody's patience has ended, and says whether it was told to stop. */
const aborted: string[] = []
/** Far beyond the deadline of ten milliseconds, also on a busy machine. */
const LATE_MILLISECONDS = 500
const slow = definePlugin({
  name: 'Slow',
  summary: 'Answers late.',
  settings: {
    listens: choice(['yes', 'no'], { doc: 'Does it ask for the signal?' }),
    answer: text({ doc: 'Its answer.', fallback: 'reject late' }),
  },
  create:
    ({ listens, answer }, { name }) =>
    (_request, context) => {
      if (listens === 'yes') context.signal.addEventListener('abort', () => aborted.push(name))
      return new Promise(resolve =>
        setTimeout(() => resolve(answer === '' ? undefined : answer), LATE_MILLISECONDS),
      )
    },
})

/** Who was asked. */
const asked: string[] = []
const witness = definePlugin({
  name: 'Witness',
  summary: 'Notes that it ran.',
  settings: { answer: text({ doc: 'Its answer.', fallback: '' }) },
  create:
    ({ answer }, { name }) =>
    () => {
      asked.push(name)
      return answer === '' ? undefined : answer
    },
})

const plugins = [broken, slow, witness]
const END = plugin('Action', 'action = reject end', 'end')
const HOWS = ['at once', 'later', 'bug', 'bug later']

t.test(
  'a failing plugin is skipped, defers the mail, or closes the connection, as on_failure says',
  async t => {
    for (const how of HOWS) {
      for (const [globals, answer] of [
        ['', 'reject end'],
        ['on_failure = dunno', 'reject end'],
        ['on_failure = defer', 'defer the mail could not be checked, try again later'],
        ['on_failure = close', undefined],
      ] as const) {
        const blocks = plugin('Broken', `how = "${how}"`) + END
        const world = await makeWorld(chain(blocks, globals), { plugins })
        t.strictSame(world.messages, [])
        t.equal(await world.ask({}), answer, `${how}, ${globals}`)
        t.match(world.errors[0], /^plugin broken failed: (?:down|x is undefined)$/)
        const tally = world.loaded.links.find(({ link }) => link.name === 'broken')?.link.tally
        t.match(tally, { failures: 1 })
      }
    }
  },
)

t.test('a failure in a nested plugin does not switch off the limit behind it', async t => {
  const inner = plugin('Broken', 'how = "at once"')
  for (const on_failure of ['dunno', 'defer', 'close']) {
    const text = chain(
      plugin('Eval', `store_in = "v"\n${inner}`) + plugin('SendingLimit', 'threshold = 3'),
      `on_failure = ${on_failure}`,
    )
    const world = await makeWorld(text, { plugins })
    const send = (instance: string) =>
      world.ask({
        protocol_state: 'END-OF-MESSAGE',
        sasl_username: 'alice',
        recipient_count: '2',
        instance,
      })
    const answers = [await send('1'), await send('2')]
    if (on_failure === 'close') t.same(answers, [undefined, undefined])
    else
      t.match(
        answers,
        ['dunno', /^reject 5\.7\.1 This message has 2 recipients, but only 1 of your 3 /],
        on_failure,
      )
  }
})

t.test('observe mode stops no mail, even if something fails', async t => {
  const failing = plugin('Witness', 'answer = "no action"')
  const text = chain(failing, 'mode = observe\nunknown_action = fail\non_failure = defer')
  const world = await makeWorld(text, { plugins })
  t.equal(await world.ask({}), 'dunno')
})

t.test(
  'on_error = continue takes precedence over on_failure; any other word is an error',
  async t => {
    for (const how of HOWS) {
      const failing = plugin('Broken', `how = "${how}"\non_error = continue`)
      const world = await makeWorld(chain(failing + END, 'on_failure = close'), { plugins })
      t.equal(await world.ask({}), 'reject end', how)
    }
    for (const [word, hint] of [
      ['contineu', '; did you mean "continue"?'],
      ['ignore', ''],
    ]) {
      const other = plugin('Broken', `how = "at once"\non_error = ${word}`)
      const world = await makeWorld(chain(other + END, 'on_failure = close'), { plugins })
      t.strictSame(world.messages, [
        `test.conf:7:12: error: "on_error" in <Plugin broken>: expected one of: fail, continue, found "${word}"${hint}; it counts as "fail"`,
      ])
      t.equal(await world.ask({}), undefined)
    }
  },
)

t.test(
  'a nested failure is a failure of the outer plugin, whose on_error skips the rest',
  async t => {
    for (const how of HOWS) {
      const inner =
        plugin('Broken', `how = "${how}"`) + plugin('Action', 'action = reject inner', 'i')
      const outer = (lines: string) => plugin('Eval', `store_in = x\n${lines}${inner}`, 'outer')
      const closing = await makeWorld(chain(outer('') + END, 'on_failure = close'), { plugins })
      t.equal(await closing.ask({}), undefined)
      t.match(closing.errors.at(-1), /plugin outer failed: plugin broken failed: /)
      const going = outer('on_error = continue\n')
      const world = await makeWorld(chain(going + END, 'on_failure = close'), { plugins })
      t.equal(await world.ask({}), 'reject end', how)
    }
  },
)

t.test(
  'a plugin that uses up the time fails, or the request does if the plugin may not fail',
  async t => {
    for (const listens of ['yes', 'no']) {
      for (const [globals, answer, behind] of [
        ['', 'reject', ['witness']],
        ['on_failure = defer', 'defer the mail could not be checked, try again later', []],
        ['on_failure = close', undefined, []],
      ] as const) {
        asked.length = 0
        aborted.length = 0
        const late = plugin('Slow', `listens = ${listens}\nanswer = ""\non_error = continue`)
        const world = await makeWorld(
          chain(late + plugin('Witness', 'answer = reject'), `request_timeout = 1\n${globals}`),
          { plugins, secondMilliseconds: 10 },
        )
        t.equal(await world.ask({ instance: '1' }), answer, globals)
        t.match(world.errors.at(-1), `[${PORT}]: request timed out`)
        t.strictSame(aborted, listens === 'yes' ? ['slow'] : [])
        await new Promise(resolve => setTimeout(resolve, 80))
        t.strictSame(asked, behind, 'nothing more is asked on behalf of an answered request')
      }
    }
    const world = await makeWorld(chain(plugin('Slow', 'listens = no'), 'request_timeout = 0'), {
      plugins,
      secondMilliseconds: 10,
    })
    t.equal(await world.ask({}), 'reject late', '0 waits for ever')
  },
)

t.test(
  'slow DNS of a third party does not switch off a limit, not even in nested plugins',
  async t => {
    const limit = plugin('SendingLimit', 'threshold = 5', 'limit')
    const late = (name: string): string => plugin('Slow', 'listens = no', name)
    const inside = `key = sasl_username\nmatch = alice\n${late('a')}${limit}`
    for (const blocks of [
      late('a') + limit,
      late('a') + late('b') + limit,
      plugin('Condition', inside, 'outer'),
    ]) {
      const world = await makeWorld(chain(blocks, 'request_timeout = 1'), {
        plugins,
        secondMilliseconds: 10,
      })
      t.strictSame(world.messages, [])
      const mail = {
        sasl_username: 'alice',
        protocol_state: 'END-OF-MESSAGE',
        recipient_count: '3',
      }
      t.equal(await world.ask({ ...mail, instance: '1' }), 'dunno')
      t.match(
        await world.ask({ ...mail, instance: '2' }),
        /^reject 5\.7\.1 This message has 3 recipients, but only 2 of your 5 /,
        blocks,
      )
    }
  },
)

t.test('requests of one mail wait for each other, those of others do not', async t => {
  const slowest = plugin('Slow', 'listens = no')
  const text = chain(
    plugin('Condition', 'key = s:seen\nmatch = 1\naction = reject seen', 'c') +
      plugin('SetField', 'key = seen\nvalue = 1') +
      slowest,
    '<SessionCache>\nmodule = Memory\n</SessionCache>',
  )
  const world = await makeWorld(text, { plugins })
  const answers = await Promise.all(['1', '1', '2'].map(instance => world.ask({ instance })))
  t.strictSame(answers, ['reject late', 'reject seen', 'reject late'])
})

const host = (key: string, name: string) =>
  `<VirtualHost ${key}>\nname = ${name}\n${plugin('Action', `action = reject ${name}`, 'a')}</VirtualHost>\n`

t.test('a virtual host serves its port; a port without one gets no answer', async t => {
  const world = await makeWorld(host('1', 'one') + host('/run/two', 'two'))
  t.strictSame(world.messages, [])
  t.equal(await world.ask({}, { id: 1, endpoint: '1' }), 'reject one')
  t.equal(await world.ask({ policy_context: 'two' }, { id: 1, endpoint: '1' }), 'reject one')
  t.equal(await world.ask({}, { id: 2, endpoint: '/run/two' }), 'reject two')
  t.equal(await world.ask({}, { id: 3, endpoint: '3' }), undefined)
  t.match(world.errors, [/no <VirtualHost> for this port/])
})

t.test('vhost_by_policy_context chooses per request by the exact name, else by port', async t => {
  const hosts = host(PORT, 'fred') + host('0', 'horst') + host(PORT, 'heinz') + host('0', 'fred')
  for (const word of ['1', 'on', 'yes']) {
    const world = await makeWorld(`vhost_by_policy_context = ${word}\n${hosts}`)
    t.strictSame(world.messages, [], 'equal ports are told apart by name')
    for (const [policy_context, answer] of [
      ['fred', 'reject fred'],
      ['horst', 'reject horst'],
      ['heinz', 'reject heinz'],
      ['Horst', 'reject fred'],
      ['', 'reject fred'],
    ] as const) {
      t.equal(await world.ask({ policy_context }), answer, policy_context)
    }
    t.equal(await world.ask({}), 'reject fred')
  }
  const off = await makeWorld(`vhost_by_policy_context = off\n${host(PORT, 'a')}${host('0', 'b')}`)
  t.equal(await off.ask({ policy_context: 'b' }), 'reject a', 'off means off')
  const twice = await makeWorld(host(PORT, 'a') + host(PORT, 'b'))
  t.match(twice.messages, [/^test\.conf:8:1: error: <VirtualHost 12345> occurs more than once/])
})

t.test('unknown_action = fail treats such an answer as a failure', async t => {
  for (const [action, answer] of [
    ['FOO bar', 'defer the mail could not be checked, try again later'],
    ['451 4.7.1 later', '451 4.7.1 later'],
    ['Reject no', 'Reject no'],
  ] as const) {
    const world = await makeWorld(
      chain(plugin('Witness', `answer = "${action}"`), 'unknown_action = fail\non_failure = defer'),
      { plugins },
    )
    t.equal(await world.ask({}), answer, action)
  }
})
