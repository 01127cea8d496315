/** Plugins that need nothing but the request and what is known about the mail. */

import t, { type Test } from 'tap'
import {
  CHINESE,
  chain,
  makeWorld,
  plugin,
  type World,
  type WorldOptions,
} from '../support/world.ts'

const END = plugin('Action', 'action = reject end', 'end')
const SESSIONS = '<SessionCache>\nmodule = Memory\n</SessionCache>'

/** A world that is right as it is written. */
async function rightWorld(t: Test, text: string, options?: WorldOptions): Promise<World> {
  const world = await makeWorld(text, options)
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  return world
}

t.test('the first action ends the chain, in the order of the file', async t => {
  const world = await rightWorld(
    t,
    chain(
      plugin('Action', 'action = "reject first"', 'zz') + plugin('Action', 'action = ok', 'aa'),
    ),
  )
  t.equal(await world.ask({}), 'reject first')
  t.match(world.verdicts, [{ by: 'zz', verdict: 'reject first' }])
})

t.test('an action is sent as written, on one line, and never empty', async t => {
  const world = await rightWorld(
    t,
    chain(plugin('Action', 'action <<EOT\nPREPEND X-A:  $1 %IP% ü\nX-B: forged\nEOT')),
  )
  t.equal(await world.ask({}), 'PREPEND X-A:  $1 %IP% ü X-B: forged')
  const empty = await makeWorld(chain(plugin('Action', 'action = ""')))
  t.equal(await empty.ask({}), 'dunno', 'Postfix would take the empty text for OK')
  t.match(empty.messages, [/^test\.conf:6:10: warning: "action" in <Plugin action>: an empty/])
})

t.test('a first word unknown to Postfix is a restriction class, or a typing error', async t => {
  const text = plugin('Action', 'action = "rejct you"')
  const passing = await makeWorld(chain(text))
  t.match(passing.messages, [
    /warning: .*"rejct" is not an action of access.*did you mean "reject"/,
  ])
  t.equal(await passing.ask({}), 'rejct you')
  const failing = await makeWorld(chain(text, 'unknown_action = fail'))
  t.equal(await failing.ask({}), 'dunno')
  t.match(failing.errors, [/returned "rejct you", which is not a Postfix action/])
  const closing = await makeWorld(chain(text, 'unknown_action = fail\non_failure = close'))
  t.equal(await closing.ask({}), undefined)
  t.equal(closing.loaded.links[0]?.link.tally.failures, 1, 'a failure counts once')
})

t.test('Condition: every matcher, plain and inverted', async t => {
  const rows: readonly [lines: string, matches: string[], misses: string[]][] = [
    ['match = a@x', ['a@x'], ['A@x', 'a@x ', '']],
    ['match = ""', [''], ['a']],
    ['re_match = "^a.c"', ['abcd', 'aüc'], ['xabc', 'ac']],
    ['re_match = "(?i)^ABC$"', ['abc', 'AbC'], ['abcd']],
    ['re_match = "^a++b\\z"', ['aab'], ['aabc', 'b']],
    ['re_match = "[[:digit:]]"', ['x1'], ['x']],
    ['re_match = ""', ['', 'anything'], []],
    ['gt_match = 10', ['11', '1e2', ' 10.5kB', 'inf'], ['10', '9', '', 'abc', '0x20']],
    ['lt_match = -1.5', ['-2', '-1.6x'], ['-1.5', '0', 'abc']],
    ['match = 5\ngt_match = 10', ['5', '11'], ['6']],
    ['lt_match = 1\ngt_match = 2', ['0', '3', 'text'], ['1', '1.5', '2']],
    ['', [], ['', 'a']],
  ]
  for (const [lines, matches, misses] of rows) {
    const body = `key = sender\naction = reject\n${lines}`
    const straight = await rightWorld(t, chain(plugin('Condition', body)))
    const inverted = await rightWorld(t, chain(plugin('Condition', `${body}\ninvert = 1`)))
    for (const [texts, hit, miss] of [
      [matches, 'reject', 'dunno'],
      [misses, 'dunno', 'reject'],
    ] as const) {
      for (const sender of texts) {
        t.equal(await straight.ask({ sender }), hit, `${lines}: "${sender}"`)
        t.equal(await inverted.ask({ sender }), miss, `${lines} inverted: "${sender}"`)
      }
    }
    t.equal(await straight.ask({}), 'dunno', `${lines}: nothing sent`)
    t.equal(await inverted.ask({}), 'dunno', `${lines} inverted: nothing sent`)
  }
})

t.test('Condition: every way to name a value', async t => {
  const note = plugin('SetField', 'key = a:b\nvalue = noted', 'note')
  const rows = [
    ['sender', 'sent'],
    ['r:sender', 'sent'],
    ['request:sender', 'sent'],
    ['s:a:b', 'noted'],
    ['session:a:b', 'noted'],
  ] as const
  for (const [key, match] of rows) {
    const body = `key = "${key}"\nmatch = ${match}\naction = reject`
    const world = await rightWorld(t, chain(note + plugin('Condition', body)))
    t.equal(await world.ask({ sender: 'sent' }), 'reject', key)
    t.equal(await world.ask({ sender: 'other' }), match === 'sent' ? 'dunno' : 'reject', key)
  }
  const world = await rightWorld(
    t,
    chain(note + plugin('Condition', 'key = sender\nre_match = "."\naction = reject')),
  )
  t.equal(await world.ask({ 'a:b': 'x' }), 'dunno', 'what is noted is no attribute')
})

t.test('Condition: mistakes are reported at load, and the plugin fails', async t => {
  const scope = await makeWorld(chain(plugin('Condition', 'key = x:y\naction = reject')))
  t.match(scope.messages, [
    /^test\.conf:6:7: error: "key" in <Plugin condition>: expected NAME, r:/,
  ])
  t.equal(await scope.ask({ y: '1' }), 'dunno')
  t.match(scope.errors, [/plugin condition failed: "x:y": expected NAME/])
  const pattern = await makeWorld(
    chain(plugin('Condition', 'key = sender\nre_match = "a("\naction = reject')),
  )
  t.match(pattern.messages, [/^test\.conf:7:12: error: "re_match" in/])
  t.equal(await pattern.ask({ sender: 'a' }), 'dunno')
  t.match(pattern.errors, [/plugin condition failed: this regular expression cannot be used: /])
})

t.test('Condition: a nested chain runs, unless there is an action', async t => {
  const inner = (action: string) =>
    plugin(
      'Condition',
      `key = sender\nmatch = a\n${action}${plugin(
        'Condition',
        `key = recipient\nre_match = "^b"\n${plugin('Action', 'action = reject deep', 'deep')}`,
        'inner',
      )}`,
      'outer',
    )
  const world = await rightWorld(t, chain(inner('') + END))
  t.equal(await world.ask({ sender: 'a', recipient: 'b' }), 'reject deep')
  t.match(world.verdicts, [{ by: 'outer' }], 'the outermost plugin is named')
  t.equal(await world.ask({ sender: 'a', recipient: 'c' }), 'reject end', 'the outer chain goes on')
  t.equal(await world.ask({ sender: 'x', recipient: 'b' }), 'reject end')
  const dead = await rightWorld(t, chain(inner('action = reject shallow\n')))
  t.equal(await dead.ask({ sender: 'a', recipient: 'b' }), 'reject shallow')
})

t.test('uc_ options use the mail’s value if it fits, otherwise the configured one', async t => {
  const world = async (value: string) =>
    rightWorld(
      t,
      chain(
        plugin('SetField', `key = mine\nvalue = "${value}"`, 'set') +
          plugin('Condition', 'key = sender\nmatch = a\nscore = 3\nuc_score = mine', 'c') +
          plugin('AddScoreHeader', '', 'header'),
      ),
    )
  const header = async (value: string) => (await world(value)).ask({ sender: 'a' })
  t.equal(await header('7.50'), 'PREPEND X-MtScore: YES score=7.5 [c=7.50]')
  t.equal(await header('many'), 'PREPEND X-MtScore: NO score=3 [c=3]', 'no number: as written')

  const acting = await rightWorld(
    t,
    chain(
      plugin(
        'Condition',
        `key = sender\nmatch = a\n${plugin('SetField', 'key = say\nvalue = reject mine')}`,
        'who',
      ) +
        plugin(
          'Condition',
          'key = sender\nre_match = "."\naction = reject all\nuc_action = say',
          'c',
        ),
    ),
  )
  t.equal(await acting.ask({ sender: 'a' }), 'reject mine')
  t.equal(await acting.ask({ sender: 'b' }), 'reject all', 'nothing noted: as written')
})

t.test('scores add up, shown as written, the sum with 15 digits', async t => {
  const rows: readonly [scores: string[], sum: string][] = [
    [['0.1', '0.2'], '0.3'],
    [['1e15', '1'], '1000000000000001'],
    [['.00001'], '1e-05'],
    [['3.33333333333333333'], '3.33333333333333'],
    [['+3', '2.50', '-007'], '-1.5'],
    [['1e1'], '10'],
    [['1e20'], '1e+20'],
    [['5', '-5'], '0'],
  ]
  for (const [scores, sum] of rows) {
    const blocks = scores.map((score, i) =>
      plugin('Condition', `key = sender\nmatch = a\nscore = ${score}`, `p${i}`),
    )
    const world = await rightWorld(t, chain(blocks.join('') + plugin('AddScoreHeader')))
    const detail = scores.map((score, i) => `p${i}=${score}`).join(', ')
    const flag = Number(sum) >= 5 ? 'YES' : 'NO'
    t.equal(
      await world.ask({ sender: 'a' }),
      `PREPEND X-MtScore: ${flag} score=${sum} [${detail}]`,
      `${scores}`,
    )
    t.equal(await world.ask({ sender: 'b' }), 'PREPEND X-MtScore: NO score=0')
  }
})

t.test('ScoreAction reacts at the threshold, above it, or below, and fills its text', async t => {
  const score = (points: string) =>
    plugin('Condition', `key = sender\nmatch = a\nscore = ${points}\nscore_field = bad`, 'c')
  const action = 'action = "reject %IP% %SCORE%%SCORE_DETAIL% %SCORE% %OTHER%"\nscore_field = bad'
  for (const [match, points, reacts] of [
    ['gt', '5', true],
    ['gt', '4.9', false],
    ['lt', '5', true],
    ['lt', '5.1', false],
  ] as const) {
    const world = await rightWorld(
      t,
      chain(score(points) + plugin('ScoreAction', `threshold = 5\nmatch = ${match}\n${action}`)),
    )
    const filled = `reject 192.0.2.1 ${points}, c=${points} ${points} %OTHER%`
    const answer = await world.ask({ sender: 'a', client_address: '192.0.2.1' })
    t.equal(answer, reacts ? filled : 'dunno', `${match} ${points}`)
  }
  const none = await rightWorld(t, chain(plugin('ScoreAction', `threshold = 0\n${action}`)))
  t.equal(await none.ask({}), 'reject unknown 0 0 %OTHER%', 'no score is 0, no address is unknown')
  const nested = await rightWorld(
    t,
    chain(score('9') + plugin('ScoreAction', `threshold = 5\nscore_field = bad\n${END}`)),
  )
  t.equal(await nested.ask({ sender: 'a' }), 'reject end')
  t.equal(await nested.ask({ sender: 'b' }), 'dunno')
  const wrong = await makeWorld(chain(plugin('ScoreAction', 'threshold = 5\nmatch = ge')))
  t.match(wrong.messages, [/error: "match" in <Plugin scoreaction>: expected one of: gt, lt/])
  t.equal(await wrong.ask({}), 'dunno')
  t.match(wrong.errors, [/plugin scoreaction failed: match/])
})

t.test('every placeholder is filled in wherever it stands', async t => {
  const from = { client_address: CHINESE, sasl_username: 'alice', sender: 'a@example.org' }
  for (const [blocks, answer] of [
    [
      plugin('AllowedCountries', 'countries = DE\nmessage = "%CC% %IP% %CC% %IP%"'),
      `reject CN ${CHINESE} CN ${CHINESE}`,
    ],
    [
      plugin('GeoIPLookup', '', 'g') +
        plugin(
          'GeoIPAction',
          'result_from = g\ncountry_codes = CN\nreject_message = "%CC% %IP% %CC% %IP%"',
        ),
      `reject CN ${CHINESE} CN ${CHINESE}`,
    ],
    [
      plugin('ScoreAction', 'threshold = 0\naction = "reject %IP% %SCORE% %IP% %SCORE%"'),
      `reject ${CHINESE} 0 ${CHINESE} 0`,
    ],
  ] as const) {
    const world = await makeWorld(chain(blocks))
    t.teardown(() => world.close())
    t.equal(await world.ask(from), answer)
  }
})

t.test('a placeholder inside a value is left alone', async t => {
  const world = await rightWorld(
    t,
    chain(plugin('ScoreAction', 'threshold = 0\naction = "reject %IP% %SCORE%"')),
  )
  t.equal(await world.ask({ client_address: '%SCORE%' }), 'reject %SCORE% 0')
})

t.test(
  'with sessions, a mail’s header and scores are added once, Condition’s every time',
  async t => {
    const world = await rightWorld(
      t,
      chain(
        plugin('RegexList', 'key = sender\nregex = "^a"\nscore = 2', 'list') +
          plugin('Condition', 'key = sender\nmatch = a\nscore = 1', 'each') +
          plugin(
            'Condition',
            `key = recipient\nmatch = show\n${plugin('AddScoreHeader', '', 'h')}`,
          ),
        SESSIONS,
      ),
    )
    const mail = { sender: 'a', instance: '1.1' }
    t.equal(await world.ask({ ...mail, recipient: 'one' }), 'dunno')
    t.equal(
      await world.ask({ ...mail, recipient: 'show' }),
      'PREPEND X-MtScore: NO score=4 [list=2, each=1, each=1]',
    )
    t.equal(await world.ask({ ...mail, recipient: 'show' }), 'dunno', 'the header came already')
    const other = 'PREPEND X-MtScore: NO score=3 [list=2, each=1]'
    t.equal(await world.ask({ sender: 'a', instance: '1.2', recipient: 'show' }), other)
    t.equal(await world.ask({ sender: 'a', recipient: 'show' }), other, 'without an instance')
    t.equal(await world.ask({ sender: 'a', recipient: 'show' }), other, 'nothing is joined')
    world.now += 601_000
    t.equal(await world.ask({ ...mail, recipient: 'show' }), other, 'the first mail is forgotten')
  },
)

t.test('without a session cache every request starts from scratch', async t => {
  const world = await rightWorld(
    t,
    chain(plugin('RegexList', 'key = sender\nregex = a\nscore = 2') + plugin('AddScoreHeader')),
  )
  for (let i = 0; i < 2; i++) {
    t.match(await world.ask({ sender: 'a', instance: '1.1' }), /score=2 /)
  }
})

t.test(
  'RegexList: one of several expressions, also from a file, for each recipient separately',
  async t => {
    const files = { '/list': '# comment\n\n  # another\n^file\r\n^blank $\n(\n' }
    const body = 'key = recipient\nregex = "^one"\nregex = "^two"\nfile = /list\naction = reject'
    const world = await makeWorld(chain(plugin('RegexList', body), SESSIONS), { files })
    t.match(world.messages, [/^test\.conf:11:8: warning: "file" in .*: "\(" is skipped/])
    const answers = ['one', 'two', 'file', 'blank ', 'three', 'blank', '#', ''].map(recipient =>
      world.ask({ recipient, instance: '1' }),
    )
    const refused = (await Promise.all(answers)).map(answer => answer === 'reject')
    t.strictSame(refused, [true, true, true, true, false, false, false, false])
    t.equal(await world.ask({ instance: '1' }), 'dunno', 'nothing sent')

    const inverted = await rightWorld(
      t,
      chain(plugin('RegexList', 'key = sender\nregex = "^a"\ninvert = 1\naction = reject')),
    )
    t.equal(await inverted.ask({ sender: 'b' }), 'reject')
    t.equal(await inverted.ask({ sender: 'a' }), 'dunno')
    t.equal(await inverted.ask({}), 'dunno')
  },
)

t.test('RegexList: an unreadable file is reported at load, and the plugin fails', async t => {
  const world = await makeWorld(
    chain(plugin('RegexList', 'key = sender\nfile = /none\naction = reject')),
  )
  t.match(world.messages, [/^test\.conf:7:8: error: "file" in <Plugin regexlist>: \/none/])
  t.equal(await world.ask({ sender: 'a' }), 'dunno')
  t.match(world.errors, [/plugin regexlist failed/])
})

t.test('enabled: off, no, 0 and false switch off, also for one mail', async t => {
  const list = (enabled: string) =>
    plugin('RegexList', `key = sender\nregex = .\naction = reject\n${enabled}`)
  for (const word of ['off', 'OFF', 'no', '0', 'false']) {
    const world = await rightWorld(t, chain(list(`enabled = ${word}`)))
    t.equal(await world.ask({ sender: 'a' }), 'dunno', word)
    const switched = await rightWorld(
      t,
      chain(plugin('SetField', `key = use\nvalue = ${word}`) + list('uc_enabled = use')),
    )
    t.equal(await switched.ask({ sender: 'a' }), 'dunno', `uc_enabled ${word}`)
  }
  for (const word of ['on', 'yes', '1']) {
    const world = await rightWorld(t, chain(list(`enabled = ${word}`)))
    t.equal(await world.ask({ sender: 'a' }), 'reject', word)
  }
  const other = await makeWorld(chain(list('enabled = of')))
  t.teardown(() => other.close())
  t.match(other.messages, [/found "of"; did you mean "o[nf]f?"\?; it counts as "on"/])
  t.equal(await other.ask({ sender: 'a' }), 'reject')
})

t.test('SetField, ClearFields: stored, and deleted by name or prefix', async t => {
  const noted = ['a', 'ab', 'b.1', 'b*'].map(key =>
    plugin('SetField', `key = ${key}\nvalue = 1`, key),
  )
  const kept = async (lines: string) => {
    const shown = ['a', 'ab', 'b.1', 'b*'].map(key =>
      plugin('Condition', `key = "s:${key}"\nmatch = 1\nscore = 1`, key),
    )
    const blocks = `${plugin('ClearFields', lines, 'clear')}${shown.join('')}${plugin('AddScoreHeader')}`
    const outer = plugin('Eval', `store_in = nothing\n${noted.join('')}`)
    const world = await rightWorld(t, chain(outer + blocks))
    const answer = (await world.ask({})) ?? ''
    return /\[(.*)\]/.exec(answer)?.[1]?.replaceAll('=1', '') ?? ''
  }
  t.equal(await kept(''), 'a, ab, b.1, b*')
  t.equal(await kept('fields = "a , b.1"'), 'ab, b*')
  t.equal(await kept('fields_prefix = a'), 'b.1, b*')
  t.equal(await kept('fields_prefix = "b*"'), 'a, ab, b.1', 'a beginning is no pattern')
  t.equal(await kept('fields_prefix = ",b."'), 'a, ab, b*', 'an empty element means nothing')
  t.equal(await kept('fields = ""'), 'a, ab, b.1, b*')
  const reserved = await makeWorld(chain(plugin('SetField', 'key = _instance\nvalue = x')))
  t.match(reserved.messages, [/error: "key" in .*: keys that begin with "_" are reserved/])
})

t.test(
  'Eval keeps the action of its chain; its scores stay, and the outer chain continues',
  async t => {
    const world = await rightWorld(
      t,
      chain(
        plugin(
          'Eval',
          `store_in = said\n${plugin('Condition', 'key = sender\nmatch = a\nscore = 4', 'c')}${END}`,
        ) +
          plugin('Condition', 'key = s:said\nmatch = reject end\nscore = 1', 'seen') +
          plugin('AddScoreHeader'),
      ),
    )
    t.equal(await world.ask({ sender: 'a' }), 'PREPEND X-MtScore: YES score=5 [c=4, seen=1]')
    const kept = await rightWorld(
      t,
      chain(
        plugin('SetField', 'key = said\nvalue = before') +
          plugin('Eval', `store_in = said\n${plugin('Stress', END)}`) +
          plugin('Condition', 'key = s:said\nmatch = before\naction = reject kept'),
      ),
    )
    t.equal(await kept.ask({}), 'reject kept', 'no action inside: what was noted stays')
    const reserved = await makeWorld(chain(plugin('Eval', 'store_in = _instance')))
    t.match(reserved.messages, [/error: "store_in" in .*reserved/])
  },
)

t.test('Stress reacts to stress=yes and to nothing else', async t => {
  const world = await rightWorld(t, chain(plugin('Stress', 'action = defer busy')))
  t.equal(await world.ask({ stress: 'yes' }), 'defer busy')
  for (const stress of ['', 'no', 'YES', 'yes ']) t.equal(await world.ask({ stress }), 'dunno')
  t.equal(await world.ask({}), 'dunno')
  const nested = await rightWorld(t, chain(plugin('Stress', END)))
  t.equal(await nested.ask({ stress: 'yes' }), 'reject end')
})
