/**
 * A refusal for a terminal. Who and why come first, then what to do about it, then the evidence. Commands
 * are not broken into lines, so that they can be pasted.
 */

import type { OtherRefusal } from '../control/protocol.ts'
import type { FurtherRuling } from '../diagnosis/further-rulings.ts'
import type { Remedy, Ruling } from '../diagnosis/remedies.ts'
import type { Refusal, SeenStep } from '../policy/ports/history.ts'
import type { Why } from '../policy/verdict-record.ts'
import { cutOff, printable } from '../text/columns.ts'
import { momentText } from '../text/when.ts'
import { wrap } from '../text/wrap.ts'

const COLUMNS = 79
const INDENT = 4
const LABEL = 13

/** Why Postfix was told it, where that is not simply what a plugin decided. */
const REASONS: Partial<Readonly<Record<Why, string>>> = {
  failed: 'the decision failed, and on_failure says what happens then',
  late: 'the time for the decision was up (request_timeout, on_failure)',
  uncounted: 'the counts could not be written (on_failure)',
}

/** `others`: refusals of the same message before it. */
export function refusalText(
  refusal: Refusal,
  ruling: Ruling & { readonly further: readonly FurtherRuling[] },
  others: readonly OtherRefusal[],
  valued: (variable: string) => string | undefined,
): string {
  return [
    ...headOf(refusal),
    ...ruleOf(refusal, ruling, valued),
    ...remedyLines(ruling.remedies, 'What would let such mail pass'),
    ...ruling.further.flatMap(furtherLines),
    ...stepsOf(refusal),
    ...requestOf(refusal),
    ...othersOf(others),
  ].join('\n')
}

function headOf(refusal: Refusal): string[] {
  const { code, at, account, country, recipients, action, attributes } = refusal
  const what = /^\s*(?:defer|4)/i.test(action) ? 'deferred' : 'refused'
  const seconds = String(new Date(at).getSeconds()).padStart(2, '0')
  const { client_address: address = '', client_name: name = '', sender = '' } = attributes
  const named = name === '' || name === 'unknown' ? '' : ` (${name})`
  const messages = recipients === 1 ? '1 recipient' : `${recipients} recipients`
  return [
    `${code}: ${what} on ${momentText(at).replace(' ', ' at ')}:${seconds}`,
    '',
    ...row('Account', account === '' ? 'none, nobody had logged in' : account),
    ...row('Client', `${address}${named}${country === '' ? '' : ` in ${country}`}`),
    ...row('Message', `from ${sender === '' ? '<>' : sender}, ${messages}`),
    ...row('Answer', action),
  ]
}

function ruleOf(
  { why, facts }: Refusal,
  { rule, place, found }: Ruling,
  valued: (variable: string) => string | undefined,
): string[] {
  const value = valued(place)
  const stands = value === undefined ? place : `${place}=${value}`
  const reason = REASONS[why]
  const { used, limit } = facts
  return [
    ...(reason === undefined ? [] : row('Reason', reason)),
    ...(rule === '' ? [] : row('Decided by', rule)),
    ...(place === '' ? [] : row('Rule', stands)),
    ...(found === '' ? [] : row('Found', found)),
    ...(used === undefined ? [] : row('Used before', `${used} of ${limit}`)),
  ]
}

function furtherLines({ rule, used, limit, remedies }: FurtherRuling): string[] {
  const amount = used === undefined ? '' : `: ${Math.floor(used * 10) / 10} of ${limit} used`
  return remedyLines(remedies, `But then it is refused by ${rule}${amount}`)
}

function remedyLines(remedies: readonly Remedy[], heading: string): string[] {
  if (remedies.length === 0) return []
  return [
    '',
    ...lines(heading),
    ...remedies.flatMap(({ text, command }) => [...lines(text, 2), `      ${printable(command)}`]),
  ]
}

function stepsOf({ steps, action, by, why }: Refusal): string[] {
  if (!steps) {
    return [
      '',
      ...lines('The steps of the plugins were not noted: too many refusals came at once.'),
    ]
  }
  const isOther =
    why === 'decided' && !steps.some(one => one.plugin === by && one.outcome.startsWith('action'))
  return [
    '',
    'The plugins, rehearsed right after the answer',
    ...(isOther
      ? lines('Something had changed: they would have answered otherwise by then.', 2)
      : []),
    ...steps.flatMap((step, at) => stepLines(step, at + 1, action)),
  ]
}

function stepLines(step: SeenStep, number: number, action: string): string[] {
  const { plugin, module, saw, outcome, place } = step
  const facts = Object.entries(saw).map(([name, value]) => `${name} ${value}`)
  const isAnswer = outcome === `action: ${action}`
  const become = isAnswer
    ? 'decides: this is the answer'
    : outcome.replace(/^action: /, 'answers: ')
  return [
    ...lines(`${`${number}.`.padEnd(INDENT - 1)} ${plugin} (${module})${placeText(place)}`),
    ...(facts.length === 0 ? [] : lines(`found: ${facts.join(', ')}`, INDENT)),
    ...lines(outcome === 'nothing' ? 'no objection' : become, INDENT),
  ]
}

function placeText(place: string): string {
  if (place === '') return ''
  const isVariable = place.startsWith('mtpolicyd/')
  return isVariable ? `, generated from ${place.replace('.*', 'DOMAIN')}` : `, ${place}`
}

function requestOf({ attributes }: Refusal): string[] {
  const known = Object.entries(attributes).filter(([, value]) => value !== '')
  return [
    '',
    'The request of Postfix, without what is empty',
    ...known.flatMap(([name, value]) => lines(`${name}=${value}`, 2)),
    '',
  ]
}

function othersOf(others: readonly OtherRefusal[]): string[] {
  if (others.length === 0) return []
  return [
    'Other refusals of this message',
    ...others.map(({ code, at, action, recipient }) => {
      const whom = recipient === '' ? '' : ` to ${recipient}:`
      return cutOff(printable(`  ${code}  ${momentText(at)} ${whom} ${action}`), COLUMNS)
    }),
    '',
  ]
}

function row(label: string, text: string): string[] {
  const [first = '', ...rest] = wrap(printable(text), COLUMNS - LABEL)
  return [`${label.padEnd(LABEL)}${first}`, ...rest.map(line => ' '.repeat(LABEL) + line)]
}

/** What comes from elsewhere must not control the terminal. */
function lines(text: string, indent = 0): string[] {
  return wrap(printable(text), COLUMNS - Math.max(indent, INDENT)).map((line, at) =>
    ' '.repeat(at === 0 ? indent : Math.max(indent, INDENT)).concat(line),
  )
}
