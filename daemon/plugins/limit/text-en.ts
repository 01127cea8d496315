/** What a mail user reads when a limit refuses a message, in English; see limit-texts.ts. */

import type { LimitWindow } from './window.ts'
import { counting, isTooMuch, type Refusal, span, type Wording } from './wording.ts'

const { number, counted } = counting(
  ['recipient', 'recipients'],
  ['message', 'messages'],
  'MB',
  '.',
)
const names = {
  day: ['day', 'days'],
  week: ['week', 'weeks'],
  month: ['month', 'months'],
  hour: ['hour', 'hours'],
  minute: ['minute', 'minutes'],
} as const
const adjectives = { day: 'Daily', week: 'Weekly', month: 'Monthly' }
const current = { day: 'for today', week: 'for this week', month: 'for this month' }
const per = (window: LimitWindow): string => `per ${span(window, names)}`

function refused(refusal: Refusal): string {
  const { unit, window, whom, limit, left, amount, again } = refusal
  const most = counted(limit, unit)
  const owner = whom === undefined ? '' : ` for ${whom}`
  const isCalendar = typeof window === 'string'
  if (isTooMuch(refusal)) {
    const whose = whom === undefined ? 'your limit' : `the limit${owner}`
    return (
      `This message has ${counted(amount, unit)}, but ${whose} is ${most} ${per(window)}; ` +
      'please send it in smaller parts'
    )
  }
  if (left > 0) {
    const rest = number(left, unit, Math.floor)
    const of = `${whom === undefined ? 'your' : 'the'} ${unit === 'bytes' ? most : limit}`
    const verb = left === 1 ? 'is' : 'are'
    const when = isCalendar ? current[window] : per(window)
    const then = isCalendar ? '' : `; it can be sent after ${again}`
    return `This message has ${counted(amount, unit)}, but only ${rest} of ${of} ${when} ${verb} left${owner}${then}`
  }
  // With a limit of 0 there is nothing to wait for.
  const then = limit === 0 ? 'contact your mail administrator' : `you can send again after ${again}`
  const name = isCalendar
    ? `${adjectives[window]} limit of ${most}`
    : `Limit of ${most} ${per(window)}`
  return `${name}${owner} reached; ${then}`
}

export const english: Wording = {
  refused,
  tooManyRecipients: most =>
    `A message may have ${counted(most, 'recipients')} at most; please send it in several parts`,
  tooBig: (most, size) =>
    `A message may have ${counted(most, 'bytes')} at most, this one has ${counted(size, 'bytes')}`,
  window: window => span(window, names),
  domain: name => `all users of ${name}`,
  server: 'all users of this server',
  never: 'never',
}
