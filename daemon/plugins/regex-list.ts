/**
 * RegexList - react when a value matches one of many regular expressions.
 *
 *   <Plugin dialups>
 *     module = "RegexList"
 *     key    = "r:reverse_client_name"
 *     regex  = "^dsl-"
 *     regex  = "\.dyn\."
 *     file   = "/etc/univention-mtpolicyd/dialups"
 *     score  = 5
 *   </Plugin>
 *
 * `regex` may be written several times. The file has one expression per line; empty lines and lines
 * that begin with "#" are ignored. An expression that cannot be read is skipped, with a warning. The
 * score is added once per mail; the match itself is evaluated for every request, so each recipient is
 * judged separately. The domain of `sender` and `recipient`, and `helo_name`, match in any case and
 * with or without a final dot, as in Condition.
 *
 * Differences from mtpolicyd
 *
 * - In mtpolicyd the first recipient of a mail decided for all.
 * - In a file with CRLF line ends, the CR was part of each expression.
 * - Here a missing file is reported at start.
 * - `enabled = 0`, `no` or `false` switches off, as `off` does.
 */

import { fieldReader, isKnownScope } from '../policy/fields.ts'
import { definePlugin, type Surroundings } from '../policy/plugin.ts'
import {
  boolean,
  enabled,
  naming,
  optional,
  pattern,
  readPattern,
  repeated,
  text,
} from '../policy/setting.ts'
import { attributeOf, spellings } from '../policy/spelling.ts'
import { LookupError } from '../system/errors.ts'
import type { Pattern } from '../text/pattern.ts'
import { checkAction, makeReaction, reactionSettings } from './parts/reaction.ts'

export const regexList = definePlugin({
  name: 'RegexList',
  summary: 'React when a value matches one of many regular expressions.',
  nests: true,
  settings: {
    key: naming({ kind: 'value' }, text({ doc: 'The value: NAME, r:NAME or s:NAME.' })),
    regex: repeated(pattern({ doc: 'A regular expression.', unreadable: 'skip' })),
    file: optional(text({ doc: 'A file with one expression per line.' })),
    enabled,
    invert: boolean({ doc: 'React when none matches.', fallback: false }),
    ...reactionSettings,
  },
  create(settings, surroundings) {
    const { key, enabled, invert } = settings
    if (!isKnownScope(key)) surroundings.fail('expected NAME, r:NAME or s:NAME', 'key')
    checkAction(surroundings)
    const read = fieldReader(key)
    const attribute = attributeOf(key) ?? ''
    const react = makeReaction(settings, surroundings, true)
    const fromFile = settings.file === undefined ? [] : linesOf(settings.file, surroundings)
    const patterns = [
      ...settings.regex,
      ...(fromFile ?? []).map(source => readLine(source, surroundings)),
    ]

    return (request, context) => {
      if (!enabled(context.session)) return undefined
      const value = read(request, context.session)
      if (value === undefined) return undefined
      if (!fromFile) throw new LookupError(`${settings.file} could not be read`)
      const texts = spellings(attribute, value)
      const isListed = patterns.some(pattern => texts.some(text => pattern.test(text)))
      if (isListed === invert) return undefined
      return react(request, context)
    }
  },
})

/** Undefined if the file cannot be read; that is reported at load. */
function linesOf(path: string, { readFile, fail }: Surroundings): string[] | undefined {
  try {
    return readFile(path)
      .split('\n')
      .filter(line => line !== '' && !/^\s*(#|$)/.test(line))
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error), 'file')
    return undefined
  }
}

function readLine(source: string, { warn }: Surroundings): Pattern {
  const { value, remark } = readPattern(source, 'skip')
  if (remark) warn(remark.message, 'file')
  return value
}
