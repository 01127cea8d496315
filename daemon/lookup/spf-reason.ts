/** What decided an SPF check, in the words of Mail::SPF, which end up in logs and replies. */

import type { SpfQuestion, SpfResult } from '../policy/ports/spf.ts'
import { excerpt } from './spf-macro.ts'

export const NO_POLICY = 'No applicable sender policy available'

/** @param matched the directive that matched, as written. */
export function spfReason(
  result: SpfResult,
  matched: string | undefined,
  { scope, identity }: SpfQuestion,
): string {
  const use = `to use '${excerpt(identity)}' in '${scope}' identity`
  const why = matched === undefined ? '(default)' : `(mechanism '${matched}' matched)`
  const byDefault = /^[-+~?]?all$/i.test(matched ?? '') ? ' by default' : ''
  switch (result) {
    case 'pass':
      return `Sender is authorized${byDefault} ${use} ${why}`
    case 'fail':
      return `Sender is not authorized${byDefault} ${use} ${why}`
    case 'softfail':
      return (
        `Sender is not authorized${byDefault} ${use}, however domain is not currently ` +
        `prepared for false failures ${why}`
      )
    case 'none':
      return NO_POLICY
    default:
      return `Domain does not state whether sender is authorized ${use} ${why}`
  }
}
