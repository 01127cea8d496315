/** What a plugin has found out that decided about a mail, in words. What is noted at the decision itself is exact. */

import type { Refusal } from '../policy/ports/history.ts'

/** Empty: nothing that is not shown elsewhere. */
export function foundText({ facts, at }: Pick<Refusal, 'facts' | 'at'>): string {
  const { listed, spf, spf_by, wait, score, scores, counted, quota, trapped } = facts
  const parts = [
    ...(listed === undefined ? [] : [`listed by ${listed}`]),
    ...(spf === undefined ? [] : [`SPF ${spf}${spf_by === undefined ? '' : ` (${spf_by})`}`]),
    ...(score === undefined ? [] : [`score ${score}${scores === undefined ? '' : ` (${scores})`}`]),
    ...(typeof wait === 'number' ? [`greylisted until ${passingTime({ at, wait })}`] : []),
    ...(counted === undefined ? [] : [`${counted} counted, the quota is ${quota}`]),
    ...(trapped === undefined ? [] : [TRAPPED.get(String(trapped)) ?? '']),
  ]
  return parts.join('; ')
}

const TRAPPED: ReadonlyMap<string, string> = new Map([
  ['recipient', 'this mail has gone to a honeypot'],
  ['client', 'an earlier mail from this address has gone to a honeypot'],
])

/** From when on an attempt passes greylisting: `2026-12-01 14:05:12`. */
export function passingTime({ at, wait }: { readonly at: number; readonly wait: number }): string {
  // An attempt in the very second is too early.
  const date = new Date(at + (wait + 1) * 1000)
  const two = (number: number): string => String(number).padStart(2, '0')
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-')
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')
  return `${day} ${clock}`
}
