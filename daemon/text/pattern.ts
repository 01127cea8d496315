/**
 * Regular expressions of the operator's: Perl's, as files of the original have them.
 *
 * They are translated at load (perl-pattern.ts). What cannot be is a SyntaxError for the caller to
 * report at its place.
 *
 * An expression that backtracks catastrophically does not stop the daemon. At load the longest
 * text is worked out for which it certainly takes no more than some milliseconds
 * (pattern-cost.ts). Texts up to that length are matched as they are, and ordinary expressions get
 * no others. Longer ones are matched under guard (guarded-match.ts): after 100 ms the match is
 * abandoned and is a LookupError, so the plugin has failed and the file's on_error and on_failure
 * decide. For a minute after that the expression fails at once for every text that needs the
 * guard, so that nobody can hold up the daemon by sending such texts again and again.
 */

import { type Clock, systemClock } from '../system/clock.ts'
import { LookupError } from '../system/errors.ts'
import { matchWithin } from './guarded-match.ts'
import { longestSafeText } from './pattern-cost.ts'
import { toJavaScript } from './perl-pattern.ts'

const GUARD_MILLISECONDS = 100
const REST_MILLISECONDS = 60_000

export interface Pattern {
  /** As written in the file. */
  readonly source: string
  /** Throws LookupError if the match takes too long. */
  test(text: string): boolean
}

/** The pattern, or a SyntaxError that says what is wrong. An empty pattern matches everything. */
export function compilePattern(source: string, clock: Clock = systemClock): Pattern {
  const expression = toJavaScript(source)
  const longest = longestSafeText(expression)
  let restsUntil = -Infinity

  function testGuarded(text: string): boolean {
    const problem = `the pattern took more than ${GUARD_MILLISECONDS} ms on a text of`
    if (clock.elapsed() < restsUntil) {
      throw new LookupError(`${problem} this kind, and is not tried again for a minute`)
    }
    const matches = matchWithin(GUARD_MILLISECONDS, expression, text)
    if (matches !== undefined) return matches
    restsUntil = clock.elapsed() + REST_MILLISECONDS
    throw new LookupError(`${problem} ${text.length} characters: ${source.slice(0, 100)}`)
  }

  return {
    source,
    test: text => (text.length <= longest ? expression.test(text) : testGuarded(text)),
  }
}
