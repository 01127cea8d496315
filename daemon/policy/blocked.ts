/**
 * The answer to mail of an account that an administrator has blocked (`mtpolicyctl block`): refused, before
 * any plugin is run and in observe mode as well. Nothing that could fail has been used by then.
 */

import type { Facts } from './facts.ts'
import type { Hearing } from './hearing.ts'
import type { Block } from './ports/measures.ts'
import { type Decision, reject } from './verdict.ts'

/** In ASCII, like all replies of ours. The account's name is empty, or has a space before it. */
const TEXTS: Readonly<Record<string, (name: string) => string>> = {
  en: name => `The account${name} is blocked; please contact your administrator`,
  de: name => `Das Konto${name} ist gesperrt; bitte wenden Sie sich an Ihren Administrator`,
  fr: name => `Le compte${name} est bloque ; veuillez contacter votre administrateur`,
}

/** Names that a reply of SMTP can show. */
const PLAIN = /^[!-~]{1,100}$/

/** Who has decided, in the log line and in steps. */
const BY = 'block'

/** Refuses the mail, and notes that as a step. `language`: en, de or fr; any other is English. */
export function blocked(hearing: Hearing, block: Block, language: string): Decision {
  const { account, by, until, why } = block
  const text = TEXTS[language] ?? TEXTS.en
  const action = reject(`5.7.1 ${text?.(PLAIN.test(account) ? ` ${account}` : '')}`)
  const saw: Facts = { account, ordered_by: by }
  if (until !== undefined) saw.until = new Date(until).toISOString()
  if (why !== '') saw.why = why
  hearing.ran({ name: BY, module: 'measure' }, action, hearing.endedAt, hearing.endedAt, saw)
  return { action, by: BY }
}
