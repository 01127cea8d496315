/**
 * Names of values in a configuration: `sender`, `r:sender`, `request:sender` for what Postfix
 * sent, `s:key`, `session:key` for what is known about the mail. Only the first colon counts.
 */

import { LookupError } from '../system/errors.ts'
import type { PolicyRequest } from './request.ts'
import type { Session } from './session.ts'

export type FieldReader = (request: PolicyRequest, session: Session) => string | undefined

export function fieldReader(key: string): FieldReader {
  const colon = key.indexOf(':')
  const scope = colon < 0 ? 'request' : key.slice(0, colon)
  const name = key.slice(colon + 1)
  switch (scope) {
    case 'r':
    case 'request':
      return request => request.get(name)
    case 's':
    case 'session':
      return (_request, session) => session.text(name)
    default:
      return () => {
        throw new LookupError(`"${key}": expected NAME, r:NAME or s:NAME, not the scope "${scope}"`)
      }
  }
}

/** Does a key name a scope that exists? For the check at load. */
export function isKnownScope(key: string): boolean {
  const colon = key.indexOf(':')
  return colon < 0 || ['r', 'request', 's', 'session'].includes(key.slice(0, colon))
}

/**
 * The text of a template, every placeholder replaced, all in one pass, so that a value that looks
 * like a placeholder stays what it is. Names are written `%NAME%`.
 */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/%([A-Z_]+)%/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? (values[name] ?? '') : whole,
  )
}
