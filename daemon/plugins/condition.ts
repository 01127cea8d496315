/**
 * Condition - react when a value of the request or of the mail matches.
 *
 *   <Plugin big>
 *     module   = "Condition"
 *     key      = "r:size"
 *     gt_match = 10485760
 *     action   = "reject too big"
 *   </Plugin>
 *
 * `key` is NAME or r:NAME for what Postfix sent, s:NAME for what is known about the mail. The
 * condition is true if any of the matchers fits; `invert` turns that around. A value that is not
 * there matches nothing, also inverted. Numbers are compared by their leading digits. Expressions
 * see characters, where those of mtpolicyd see bytes; an empty one matches everything.
 *
 * The score is added for every request of a mail, not once: a mail with three recipients asked
 * about at RCPT gets it three times. Files may rely on that.
 *
 * An empty `uc_action` ends the chain and is answered as dunno; mtpolicyd sent it as it was. A
 * repetition `{n}` above 65534 is an error to mtpolicyd; here it means what it says.
 */

import { LookupError } from '../policy/errors.ts'
import { fieldReader, isKnownScope } from '../policy/fields.ts'
import { compilePattern } from '../policy/pattern.ts'
import { definePlugin, type Surroundings } from '../policy/plugin.ts'
import { leadingNumber } from '../policy/session.ts'
import { boolean, number, optional, text } from '../policy/setting.ts'
import { checkAction, makeReaction, reactionSettings } from './reaction.ts'

export const condition = definePlugin({
  name: 'Condition',
  summary: 'React when a value matches.',
  nests: true,
  settings: {
    key: text({ doc: 'The value: NAME, r:NAME or s:NAME.' }),
    match: optional(text({ doc: 'The value is exactly this text.' })),
    re_match: optional(text({ doc: 'The value contains this regular expression.' })),
    gt_match: optional(number({ doc: 'The value is greater than this.' })),
    lt_match: optional(number({ doc: 'The value is less than this.' })),
    invert: boolean({ doc: 'React when it does not match.', fallback: false }),
    ...reactionSettings,
  },
  create(settings, surroundings) {
    const { key, match, gt_match, lt_match, invert } = settings
    if (!isKnownScope(key)) surroundings.fail('expected NAME, r:NAME or s:NAME', 'key')
    checkAction(surroundings)
    const read = fieldReader(key)
    const pattern = patternAtLoad(settings.re_match, 're_match', surroundings)
    const react = makeReaction(settings, surroundings, false)

    function matches(value: string): boolean {
      if (match !== undefined && value === match) return true
      if (pattern?.(value)) return true
      if (lt_match && leadingNumber(value) < lt_match.value) return true
      return gt_match !== undefined && leadingNumber(value) > gt_match.value
    }

    return (request, context) => {
      const value = read(request, context.session)
      if (value === undefined || matches(value) === invert) return undefined
      return react(request, context)
    }
  },
})

/** A pattern that cannot be read is reported at load; using it is a failure of the plugin. */
export function patternAtLoad(
  source: string | undefined,
  option: string,
  { fail }: Surroundings,
): ((value: string) => boolean) | undefined {
  if (source === undefined) return undefined
  try {
    const pattern = compilePattern(source)
    return value => pattern.test(value)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    fail(reason, option)
    return () => {
      throw new LookupError(`${option}: ${reason}`)
    }
  }
}
