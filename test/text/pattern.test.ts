/** Expressions of Perl in JavaScript, and that none of them stops the daemon. */

import fc from 'fast-check'
import t from 'tap'
import { systemClock } from '../../daemon/system/clock.ts'
import { LookupError } from '../../daemon/system/errors.ts'
import { matchWithin } from '../../daemon/text/guarded-match.ts'
import { compilePattern, type Pattern } from '../../daemon/text/pattern.ts'
import { boundOf, longestSafeText, valueAt } from '../../daemon/text/pattern-cost.ts'
import { type PatternNode, parsePattern } from '../../daemon/text/pattern-tree.ts'
import { toJavaScript } from '../../daemon/text/perl-pattern.ts'
import { runs } from '../support/fuzz.ts'
import { chain, makeWorld, plugin } from '../support/world.ts'

/** How many steps any text of this length takes at most. */
function mostSteps(pattern: RegExp, length: number): number {
  return valueAt(boundOf(pattern), length)
}

/** A daemon that is held up for longer than this has stopped, on however busy a machine. */
const HELD_UP = 3000
const LONG = 200_000

const CATASTROPHIC: readonly (readonly [source: string, text: string])[] = [
  ['(a+)+$', 'a'],
  ['(?i)(a+)+$', 'aA'],
  ['(\\w+\\s?)*$', 'word '],
  ['^(\\w+\\s?)*$', 'a'],
  ['(a|aa)+$', 'a'],
  ['(.*a){20}', 'a'],
  ['(.*a){20}b', 'a'],
  [`${'a?'.repeat(30)}${'a'.repeat(30)}b`, 'a'],
  ['(a?){30}a{30}b', 'a'],
  ['(a+)+\\1$', 'a'],
  ['^(.*?,){11}P', '1,2,3,'],
  ['(?=(a+)+$)', 'a'],
  ['(?<=(a+)+)b', 'a'],
  ['.*.*.*=x', 'a'],
  ['(?:x+x+)+y', 'x'],
  ['([[:alpha:]]+\\h*)+!', 'word '],
]

t.test('an expression that backtracks catastrophically is given up', async t => {
  for (const [source, part] of CATASTROPHIC) {
    const pattern = compilePattern(source)
    for (const length of [30, LONG]) {
      const text = `${part.repeat(Math.ceil(length / part.length))}\n`
      const began = performance.now()
      try {
        t.type(pattern.test(text), 'boolean')
      } catch (error) {
        t.type(error, LookupError, source)
        t.match(error, { message: /^the pattern took more than 100 ms on a text of / })
      }
      t.ok(performance.now() - began < HELD_UP, `${source}, ${length} characters`)
    }
  }
})

t.test(
  'one that was given up rests for a minute; short texts are matched all the same',
  async t => {
    let now = 0
    const pattern = compilePattern('(?:x+x+x+x+x+)y', {
      ...systemClock,
      now: () => 0,
      elapsed: () => now,
    })
    const evil = 'x'.repeat(5000)
    t.throws(() => pattern.test(evil), {
      message: 'the pattern took more than 100 ms on a text of 5000 characters: (?:x+x+x+x+x+)y',
    })
    const began = performance.now()
    now += 59_000
    for (let i = 0; i < 10; i++) {
      t.throws(() => pattern.test(evil), { message: /not tried again for a minute/ })
    }
    t.ok(performance.now() - began < HELD_UP, 'nothing is tried')
    t.equal(pattern.test('xxxxxy'), true)
    t.equal(pattern.test('xxxxy'), false)
    now += 2000
    t.equal(pattern.test(`${evil}y`), true, 'after that it is tried again')
  },
)

t.test('a plugin with such an expression fails, and the mail goes on', async t => {
  const world = await makeWorld(
    chain(
      plugin('Condition', 'key = helo_name\nre_match = "^(a+)+$"\naction = reject evil') +
        plugin('RegexList', 'key = helo_name\nregex = "^(b|bb)+$"\naction = reject evil'),
    ),
  )
  t.teardown(() => world.close())
  t.strictSame(world.messages, [])
  t.equal(await world.ask({ helo_name: 'aaa' }), 'reject evil')
  t.equal(await world.ask({ helo_name: `${'a'.repeat(60)}!` }), 'dunno')
  t.equal(await world.ask({ helo_name: `${'b'.repeat(60)}!` }), 'dunno')
  t.match(world.errors, [
    /^plugin condition failed: the pattern took more than 100 ms on a text of 61 characters/,
    /^plugin condition failed: .* not tried again for a minute/,
    /^plugin regexlist failed: the pattern took more than 100 ms on a text of 61 characters/,
  ])
})

t.test('ordinary expressions need no guard for what they are used on', async t => {
  for (const [source, atLeast] of [
    ['\\.dyn\\.|dsl', 10_000],
    ['^[^@]+@example\\.(com|org)$', 10_000],
    ['^.*foo.*bar$', 255],
    ['.*foo.*', 255],
    ['^dsl-', 10_000],
    ['\\b(?:viagra|cialis)\\b', 10_000],
    ['^([a-z0-9-]+\\.)+example\\.com$', 255],
    ['^(\\d{1,3}\\.){3}\\d{1,3}$', 10_000],
    ['(?:\\d{1,3}[.-]){3}\\d{1,3}\\.(?:dyn|dsl|pool)', 10_000],
    ['\\d+[.-]\\d+[.-]\\d+[.-]\\d+', 255],
    ['^[\\w.+-]+@([\\w-]+\\.)+\\w+$', 255],
    ['', 10_000],
  ] as const) {
    const longest = longestSafeText(toJavaScript(source))
    t.ok(longest >= atLeast, `${source}: up to ${longest} characters`)
  }
})

t.test('what is not understood is guarded', async t => {
  for (const source of [
    '\\012',
    '\\u{3}',
    '\\x',
    '\\c!',
    `${'(?:'.repeat(500)}a${')'.repeat(500)}`,
  ]) {
    t.equal(longestSafeText(new RegExp(source)), -1, source.slice(0, 10))
  }
  t.equal(compilePattern('\\012').test('\n'), true)
})

/** Small expressions, many of them evil. */
const { source: anySource } = fc.letrec<{ source: string }>(tie => ({
  source: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('a', 'b', 'ab', '.', '[ab]', '[^b]', '\\w', '^', '$', ''),
    fc.tuple(tie('source'), tie('source')).map(([a, b]) => a + b),
    fc.tuple(tie('source'), tie('source')).map(([a, b]) => `(${a}|${b})`),
    fc
      .tuple(tie('source'), fc.constantFrom('*', '+', '?', '{2}', '{1,3}', '{0,}', '{40}', '*?'))
      .map(([a, times]) => `(?:${a})${times}`),
    tie('source').map(a => `(?=${a})`),
  ),
}))

const anyText = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b', 'ab', '!'), maxLength: 12 }),
  fc.nat(60).map(count => 'a'.repeat(count)),
  fc.nat(60).map(count => `${'a'.repeat(count)}!`),
)

t.test('under guard an expression says what it says without', async () => {
  fc.assert(
    fc.property(anySource, anyText, (source, text) => {
      const expression = new RegExp(source)
      const isQuick = stepsOf(expression, text) < 10_000
      return !isQuick || matchWithin(60_000, expression, text) === expression.test(text)
    }),
    { numRuns: runs(500) },
  )
})

t.test('no text takes more steps than was worked out', async () => {
  fc.assert(
    fc.property(anySource, fc.boolean(), anyText, (source, ignoresCase, text) => {
      const expression = new RegExp(source, ignoresCase ? 'i' : '')
      return stepsOf(expression, text) <= mostSteps(expression, text.length)
    }),
    { numRuns: runs(20_000) },
  )
})

t.test('what comes after a part may begin beyond its next neighbour', async t => {
  const text = 'a'.repeat(60)
  for (const source of [
    'a*b?a*b?a*c',
    'a*(?:b|)a*(?:b|)a*c',
    'a*(?:b*)a*(?:(b?)b?)a*c',
    '(a*b?)+c',
  ]) {
    const expression = new RegExp(source)
    t.ok(stepsOf(expression, text) <= mostSteps(expression, text.length), source)
  }
})

/** Steps of a simple machine that backtracks, as V8 does. No more than 100,000. */
function stepsOf(expression: RegExp, text: string): number {
  const tree = parsePattern(expression)
  if (!tree) throw new Error(`${expression.source} is not understood`)
  let steps = 0

  function run(node: PatternNode, at: number, then: (at: number) => boolean): boolean {
    if (++steps > 100_000) throw new RangeError()
    switch (node.kind) {
      case 'char': {
        const code = text.charCodeAt(at)
        return at < text.length && (node.first & (1n << BigInt(code))) !== 0n && then(at + 1)
      }
      case 'sequence': {
        const from = (index: number, place: number): boolean => {
          const item = node.items[index]
          return item ? run(item, place, next => from(index + 1, next)) : then(place)
        }
        return from(0, at)
      }
      case 'choice':
        return node.items.some(item => run(item, at, then))
      case 'repeat': {
        const round = (count: number, place: number): boolean =>
          (count < node.max &&
            run(node.item, place, next =>
              next === place && count >= node.min ? false : round(count + 1, next),
            )) ||
          (count >= node.min && then(place))
        return round(0, at)
      }
      case 'look':
        return run(node.item, at, () => true) && then(at)
      case 'place':
        return (node.isStart ? at === 0 : at === text.length) && then(at)
      case 'again':
        throw new Error('not among the random ones')
    }
  }

  try {
    for (let start = 0; start <= text.length; start++) {
      if (run(tree, start, () => true)) break
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
  }
  return steps
}

/** A busy machine may need more than the guard allows to compile it: then it is tried again. */
function answered(pattern: Pattern, text: string): boolean {
  for (let tries = 0; ; tries++) {
    try {
      return pattern.test(text)
    } catch (error) {
      if (tries > 50 || !(error instanceof LookupError)) throw error
    }
  }
}

t.test('what Perl has and JavaScript has not', async t => {
  for (const [source, matching, other] of [
    ['(?i)ABC', 'xabc', 'ab'],
    ['(?^i)abc', 'ABC', 'ab'],
    ['\\Aa\\z', 'a', 'a\n'],
    ['a\\Z', 'a\n', 'ab'],
    ['a\\hb', 'a\tb', 'a\nb'],
    ['^[[:alpha:]_]+$', 'a_b', 'a1'],
    ['^[]a]$', ']', 'b'],
    ['^a++b', 'aab', 'aac'],
    ['^a++ab', '', 'aab'],
    ['^(?:ab)*+$', 'abab', 'aba'],
  ] as const) {
    const pattern = compilePattern(source)
    if (matching !== '') t.equal(pattern.test(matching), true, `${source} on ${matching}`)
    t.equal(pattern.test(other), false, `${source} on ${other}`)
    t.equal(pattern.source, source)
  }
  t.equal(compilePattern('').test('anything'), true)
  const nested = `${'('.repeat(200)}a${')?'.repeat(200)}`
  t.equal(answered(compilePattern(nested), 'b'), true, 'optional groups inside of each other')
  for (const wrong of [
    '(',
    '[a',
    '(?xx)a',
    '[[:nothing:]]',
    '(a)?\\1',
    '*',
    '('.repeat(100_000),
    `${'('.repeat(300)}${')'.repeat(300)}`,
  ]) {
    t.throws(() => compilePattern(wrong), { name: 'SyntaxError' }, wrong.slice(0, 20))
  }
})
