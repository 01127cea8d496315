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
 * `regex` may be written several times. The file has one expression per line; empty lines and
 * lines that begin with "#" do not count. An expression that cannot be read is passed over with a
 * warning. The score is added once per mail; the match itself is worked out for every request, so
 * each recipient is judged by itself;
 * in mtpolicyd the first recipient of a mail decided for all.
 *
 * Other than in mtpolicyd: the CR of a file with CRLF lines is no part of an expression, a missing
 * file is reported at start, and `enabled = 0`, `no` or `false` switches off as `off` does.
 */

import { LookupError } from '../policy/errors.ts'
import { fieldReader, isKnownScope } from '../policy/fields.ts'
import { compilePattern, type Pattern } from '../policy/pattern.ts'
import { definePlugin, type Surroundings } from '../policy/plugin.ts'
import { boolean, optional, perMail, repeated, text, toggle } from '../policy/setting.ts'
import { checkAction, makeReaction, reactionSettings } from './reaction.ts'

export const regexList = definePlugin({
  name: 'RegexList',
  summary: 'React when a value matches one of many regular expressions.',
  nests: true,
  settings: {
    key: text({ doc: 'The value: NAME, r:NAME or s:NAME.' }),
    regex: repeated(text({ doc: 'A regular expression.' })),
    file: optional(text({ doc: 'A file with one expression per line.' })),
    enabled: perMail(toggle({ doc: 'off switches the plugin off.', fallback: true })),
    invert: boolean({ doc: 'React when none matches.', fallback: false }),
    ...reactionSettings,
  },
  create(settings, surroundings) {
    const { key, enabled, invert } = settings
    if (!isKnownScope(key)) surroundings.fail('expected NAME, r:NAME or s:NAME', 'key')
    checkAction(surroundings)
    const read = fieldReader(key)
    const react = makeReaction(settings, surroundings, true)
    const fromFile = settings.file === undefined ? [] : linesOf(settings.file, surroundings)
    const patterns = [
      ...settings.regex.flatMap(source => readable(source, 'regex', surroundings)),
      ...(fromFile ?? []).flatMap(source => readable(source, 'file', surroundings)),
    ]

    return (request, context) => {
      if (!enabled(context.session)) return undefined
      const value = read(request, context.session)
      if (value === undefined) return undefined
      if (!fromFile) throw new LookupError(`${settings.file} could not be read`)
      if (patterns.some(pattern => pattern.test(value)) === invert) return undefined
      return react(request, context)
    }
  },
})

/** Undefined if the file cannot be read; that is reported at load. */
function linesOf(path: string, { readFile, fail }: Surroundings): string[] | undefined {
  try {
    return readFile(path)
      .split(/\r?\n/)
      .filter(line => line !== '' && !/^\s*(#|$)/.test(line))
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error), 'file')
    return undefined
  }
}

function readable(source: string, option: string, { warn }: Surroundings): Pattern[] {
  try {
    return [compilePattern(source)]
  } catch (error) {
    warn(`"${source}" is passed over: ${error instanceof Error ? error.message : error}`, option)
    return []
  }
}
