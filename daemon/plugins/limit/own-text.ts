/** An operator's own text of a refusal, and the times in texts. */

import { nearestName } from '../../policy/problem.ts'
import type { Setting } from '../../policy/setting.ts'
import { excerpt } from '../../text/excerpt.ts'

const PLACEHOLDERS = ['USER', 'LIMIT', 'USED', 'LEFT', 'RECIPIENTS', 'WINDOW', 'AGAIN'] as const
/** With Postfix's words before it, a reply of SMTP has 512 octets at most (RFC 5321, 4.5.3.1.5). */
const LONGEST_CHARACTERS = 400

export type Placeholder = (typeof PLACEHOLDERS)[number]

export const ownText: Setting<string | undefined> = {
  doc: `Text of the refusal instead of ours, with ${PLACEHOLDERS.map(name => `%${name}%`).join(' ')}.`,
  expected: 'a text',
  required: false,
  fallback: undefined,
  twin: false,
  repeatable: false,
  parse(text) {
    if (text === undefined) return undefined
    // Empty, as a template may write it: ours.
    if (text.trim() === '') return { value: undefined }
    const unknown = [...text.matchAll(/%(\w+)%/g)]
      .map(([, name = '']) => name)
      .find(name => !PLACEHOLDERS.some(known => known === name))
    if (unknown === undefined) {
      const message = unreadable(text)
      return message === undefined
        ? { value: text }
        : { value: text, remark: { severity: 'warning', message } }
    }
    const near = nearestName(unknown, PLACEHOLDERS)
    const hint = near === undefined ? '' : `; did you mean %${near}%?`
    const message = `%${excerpt(unknown)}% is not replaced${hint}`
    return { value: text, remark: { severity: 'warning', message } }
  },
}

/** Why a mail program may not show it as it is. */
function unreadable(text: string): string | undefined {
  const letter = /[^ -~]/u.exec(text)?.[0]
  if (letter !== undefined) {
    return `mail programs may show "${excerpt(letter)}" as garbage; expected ASCII`
  }
  if (text.length <= LONGEST_CHARACTERS) return undefined
  return `it has ${text.length} characters; expected ${LONGEST_CHARACTERS} at most, because a reply of SMTP has 512`
}

/** `2026-11-21 00:00 (Europe/Berlin)`, rounded up to a minute. Created with the first refusal, because it takes 10 ms. */
export function timeText(timezone: string | undefined): (at: number) => string {
  let format: Intl.DateTimeFormat | undefined
  return at => {
    format ??= new Intl.DateTimeFormat('en-CA', {
      ...(timezone === undefined ? {} : { timeZone: timezone }),
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    })
    const { timeZone } = format.resolvedOptions()
    const minute = Math.ceil(at / 60_000) * 60_000
    return `${format.format(minute).replace(', ', ' ')} (${timezone ?? timeZone})`
  }
}
