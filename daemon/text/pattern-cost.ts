/**
 * How long a text may be so that a regular expression certainly decides about it quickly.
 *
 * V8 tries the ways in which an expression can match one after the other, and expressions such as
 * `(a+)+$` have more of them than there is time. Here the steps that takes are bounded from above,
 * for all texts of n characters, by reading the expression once:
 *
 * - What stands one after the other multiplies its ways, alternatives add theirs.
 * - A repetition of something that has one way can end at any of n places. k such places, one not
 *   before the other, are chosen in C(n + k, k) ways; the place where a match begins is one more.
 * - There is only one way past a repetition, or a choice, if the next character alone decides:
 *   `[^@]+@`, `com|org`. And one if whatever follows matches in any case, as nothing does at the
 *   end of the expression.
 * - A repetition without limit of something that has several ways is not bounded at all.
 *
 * So a bound is always a number times C(n + k, k), and Infinity where there is none.
 */

import { ANY_CHAR, type Chars, NO_CHAR, type PatternNode, parsePattern } from './pattern-tree.ts'

/** Steps that may be taken without a guard: some milliseconds at most. */
const MOST_STEPS = 4_000_000
/** Repetitions up to this often are counted, more often are as good as without limit. */
const COUNTED = 32

/** `times` x C(n + places, places). */
interface Bound {
  readonly times: number
  readonly places: number
}

interface Cost {
  /** How often what follows can be tried, and gets beyond the next character. */
  readonly ways: Bound
  /** Steps in all. */
  readonly steps: Bound
}

/** What comes after a part of the expression. */
interface Follow {
  /** The characters it can begin with. */
  readonly first: Chars
  readonly width: number
  /** It matches, wherever it is tried. */
  readonly isSure: boolean
}

const ONE: Bound = { times: 1, places: 0 }
const ANYWHERE: Bound = { times: 1, places: 1 }
const UNBOUNDED: Bound = { times: Infinity, places: 0 }
const THE_END: Follow = { first: ANY_CHAR, width: 0, isSure: true }

/** The longest text that takes no more steps than that; -1: not even an empty one. */
export function longestSafeText(pattern: RegExp): number {
  const bound = boundOf(pattern)
  let fits = -1
  let tooLong = MOST_STEPS
  while (tooLong - fits > 1) {
    const length = Math.floor((fits + tooLong) / 2)
    if (valueAt(bound, length) <= MOST_STEPS) fits = length
    else tooLong = length
  }
  return fits
}

/** How many steps texts take at most, as a function of their length. */
export function boundOf(pattern: RegExp): Bound {
  const tree = parsePattern(pattern)
  if (!tree) return UNBOUNDED
  const { steps } = costOf(tree, THE_END)
  return startsOnlyOnce(tree)
    ? plus(steps, { times: tree.width, places: 1 })
    : times(steps, ANYWHERE)
}

export function valueAt({ times, places }: Bound, length: number): number {
  let value = times
  for (let i = 1; i <= places && value < Infinity; i++) value *= (length + i) / i
  return value
}

function plus(a: Bound, b: Bound): Bound {
  return { times: a.times + b.times, places: Math.max(a.places, b.places) }
}

function times(a: Bound, b: Bound): Bound {
  return { times: a.times * b.times, places: a.places + b.places }
}

/** Is it anchored, so that it fails at once at all places but the first? */
function startsOnlyOnce(node: PatternNode): boolean {
  switch (node.kind) {
    case 'place':
      return node.isStart
    case 'sequence':
      return node.items[0] !== undefined && startsOnlyOnce(node.items[0])
    case 'choice':
      return node.items.every(startsOnlyOnce)
    default:
      return false
  }
}

function costOf(node: PatternNode, follow: Follow): Cost {
  const cost = costBefore(node, follow)
  return follow.isSure ? { ...cost, ways: ONE } : cost
}

function costBefore(node: PatternNode, follow: Follow): Cost {
  switch (node.kind) {
    case 'char':
    case 'place':
      return { ways: ONE, steps: ONE }
    case 'again':
      return { ways: ONE, steps: ANYWHERE }
    case 'look':
      return { ways: ONE, steps: plus(ONE, costOf(node.item, THE_END).steps) }
    case 'sequence':
      return costOfSequence(node.items, follow)
    case 'choice':
      return costOfChoice(node.items, follow)
    case 'repeat':
      return costOfRepeat(node, follow)
  }
}

function costOfSequence(items: readonly PatternNode[], follow: Follow): Cost {
  let after = follow
  const parts: { readonly cost: Cost; readonly isLast: boolean }[] = []
  for (const item of items.toReversed()) {
    const isSure = after.isSure && matchesNothing(item)
    parts.push({ cost: costOf(item, after), isLast: isSure })
    after = {
      first: item.nullable ? item.first | after.first : item.first,
      width: item.nullable ? item.width + after.width : item.width,
      isSure,
    }
  }
  let ways = ONE
  let steps = ONE
  for (const { cost, isLast } of parts.reverse()) {
    // Where nothing can go wrong any more, nobody comes a second time.
    steps = plus(steps, isLast ? cost.steps : times(ways, cost.steps))
    ways = times(ways, cost.ways)
  }
  return { ways, steps }
}

/** Does it match in any case, if need be nothing? */
function matchesNothing(node: PatternNode): boolean {
  return node.kind === 'repeat' && node.min === 0
}

function costOfChoice(items: readonly PatternNode[], follow: Follow): Cost {
  const costs = items.map(item => costOf(item, follow))
  const steps = costs.reduce((sum, cost) => plus(sum, cost.steps), ONE)
  let seen = NO_CHAR
  const isDecided = items.every(({ first, isEmpty }) => {
    const isNew = !isEmpty && (seen & first) === NO_CHAR
    seen |= first
    return isNew
  })
  const ways = costs.map(cost => cost.ways)
  return {
    ways: isDecided
      ? {
          times: Math.max(...ways.map(one => one.times)),
          places: Math.max(...ways.map(one => one.places)),
        }
      : ways.reduce(plus),
    steps,
  }
}

function costOfRepeat(
  { item, min, max }: Extract<PatternNode, { kind: 'repeat' }>,
  follow: Follow,
): Cost {
  const inside = costOf(item, {
    first: item.first | follow.first,
    width: item.width + follow.width,
    // A round that matches nothing does not count, and another way is looked for.
    isSure: follow.isSure && min <= 1 && !item.isEmpty,
  })
  // Only the rounds that have to be may match nothing.
  const rounds = max <= COUNTED ? { times: max + 1, places: 0 } : { times: min + 1, places: 1 }
  if (inside.ways.times === 1 && inside.ways.places === 0) {
    const isDecided = min === max || (!item.isEmpty && (item.first & follow.first) === NO_CHAR)
    const ends = max - min < COUNTED ? { times: max - min + 1, places: 0 } : ANYWHERE
    return {
      ways: isDecided ? ONE : ends,
      steps: times(rounds, { ...inside.steps, times: inside.steps.times + follow.width + 1 }),
    }
  }
  if (max > COUNTED) return { ways: UNBOUNDED, steps: UNBOUNDED }
  // Once, twice, and so on: each round multiplies.
  let ways = ONE
  let steps = ONE
  let sum = ONE
  for (let round = 0; round < max; round++) {
    steps = plus(steps, times(ways, inside.steps))
    ways = times(ways, inside.ways)
    sum = plus(sum, ways)
  }
  return { ways: sum, steps }
}
