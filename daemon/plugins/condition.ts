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
 * `key` is NAME or r:NAME for an attribute that Postfix sent, s:NAME for a value kept with the mail.
 * The condition is true if any of the matchers fits; `invert` negates it. A missing value never
 * matches, not even with `invert`. Numbers are compared by their leading digits. An empty regular
 * expression matches everything.
 *
 * The domain of `sender` and `recipient`, and `helo_name`, match in any case and with or without a
 * final dot: `match` compares them in lower case and without it, and a regular expression is tried on
 * them as sent and in that form. The local part of an address is compared without its quotes, as
 * Postfix sends it; a regular expression is also tried on it with quotes if it needs them. Login names
 * (`sasl_username`) match in any case.
 *
 * The score is added for every request of a mail, not once: a mail with three recipients gets it three
 * times at RCPT. Existing configurations may rely on this.
 *
 * Differences from mtpolicyd
 *
 * - Expressions match characters; those of mtpolicyd match bytes.
 * - An empty `uc_action` ends the chain and is answered as dunno; mtpolicyd sent it unchanged.
 * - A repetition `{n}` above 65534 works; to mtpolicyd it was an error.
 * - Domains were compared only as sent.
 */

import { fieldReader, isKnownScope } from '../policy/fields.ts'
import { definePlugin } from '../policy/plugin.ts'
import { leadingNumber } from '../policy/session.ts'
import { boolean, naming, number, optional, pattern, text } from '../policy/setting.ts'
import { attributeOf, plainValue, plainWritten, spellings } from '../policy/spelling.ts'
import { checkAction, makeReaction, reactionSettings } from './parts/reaction.ts'

export const condition = definePlugin({
  name: 'Condition',
  summary: 'React when a value matches.',
  nests: true,
  settings: {
    key: naming({ kind: 'value' }, text({ doc: 'The value: NAME, r:NAME or s:NAME.' })),
    match: optional(text({ doc: 'The value is exactly this text.' })),
    re_match: optional(pattern({ doc: 'The value contains this regular expression.' })),
    gt_match: optional(number({ doc: 'The value is greater than this.' })),
    lt_match: optional(number({ doc: 'The value is less than this.' })),
    invert: boolean({ doc: 'React when it does not match.', fallback: false }),
    ...reactionSettings,
  },
  create(settings, surroundings) {
    const { key, match, re_match, gt_match, lt_match, invert } = settings
    if (!isKnownScope(key)) surroundings.fail('expected NAME, r:NAME or s:NAME', 'key')
    checkAction(surroundings)
    const read = fieldReader(key)
    const react = makeReaction(settings, surroundings, false)

    const attribute = attributeOf(key) ?? ''
    const plainMatch = match === undefined ? undefined : plainWritten(attribute, match)

    function matches(value: string): boolean {
      if (match !== undefined && value === match) return true
      if (plainMatch !== undefined && plainValue(attribute, value) === plainMatch) return true
      if (re_match && spellings(attribute, value).some(one => re_match.test(one))) return true
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
