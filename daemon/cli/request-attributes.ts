/**
 * A policy request as an administrator writes it: in a file, `name=value` on each line, or by options.
 * What Postfix would not send is named at its place, with what was expected.
 */

import { canonicalAddress } from '../net/address.ts'
import { oneLine } from '../policy/verdict.ts'
import { excerpt } from '../text/excerpt.ts'

export const STAGES = ['END-OF-MESSAGE', 'DATA', 'RCPT'] as const

/** One attribute, and what it is called in a message: `line 3: size`, `option --size`. */
export interface WrittenAttribute {
  readonly name: string
  readonly value: string
  readonly what: string
}

/** A mistake in a request, in words. */
export class WrongRequest extends Error {
  override readonly name = 'WrongRequest'
}

interface Form {
  readonly expected: string
  fits(value: string): boolean
}

const number: Form = { expected: 'a whole number', fits: value => /^\d{1,15}$/.test(value) }

/** SMTPD_POLICY_README */
const STATES = ['CONNECT', 'EHLO', 'HELO', 'MAIL', ...STAGES, 'VRFY', 'ETRN']

/** Values that plugins count on. An empty one is what Postfix does not know. */
const FORMS: ReadonlyMap<string, Form> = new Map([
  ['recipient_count', number],
  ['size', number],
  [
    'client_address',
    {
      expected: 'an IP address',
      fits: value => value === 'unknown' || canonicalAddress(value) !== undefined,
    },
  ],
  [
    'protocol_state',
    { expected: STATES.join(', ').replace(/, (\w+)$/, ' or $1'), fits: v => STATES.includes(v) },
  ],
  ['request', { expected: 'smtpd_access_policy', fits: value => value === 'smtpd_access_policy' }],
])

/** The lines of a file up to an empty one. Throws WrongRequest. */
export function readAttributes(text: string): WrittenAttribute[] {
  const found: WrittenAttribute[] = []
  const lines = text.split('\n').map(line => line.replace(/\r$/, ''))
  for (const [at, line] of lines.entries()) {
    const where = `line ${at + 1}`
    if (line === '') {
      const next = lines.findIndex((one, place) => place > at && one !== '')
      if (next < 0) break
      throw new WrongRequest(`line ${next + 1}: expected the end: an empty line ends the request`)
    }
    const equals = line.indexOf('=')
    if (equals < 1) throw mistake(where, 'name=value', line)
    const name = line.slice(0, equals)
    found.push({ name, value: line.slice(equals + 1), what: `${where}: ${name}` })
  }
  if (found.length === 0) throw new WrongRequest('line 1: expected name=value, found nothing')
  return found
}

/** By their names, checked; a later one replaces an earlier one. Throws WrongRequest. */
export function requestOf(written: readonly WrittenAttribute[]): Record<string, string> {
  for (const { name, value, what } of written) {
    const form = FORMS.get(name)
    if (form === undefined || value === '' || form.fits(value)) continue
    throw mistake(what, form.expected, value)
  }
  return {
    request: 'smtpd_access_policy',
    protocol_state: 'END-OF-MESSAGE',
    ...Object.fromEntries(written.map(({ name, value }) => [name, value])),
  }
}

function mistake(what: string, expected: string, found: string): WrongRequest {
  return new WrongRequest(`${what}: expected ${expected}, found "${excerpt(oneLine(found))}"`)
}
