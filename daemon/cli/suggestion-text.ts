/** Limits that are proposed, for a terminal. */

import { shellQuote } from '../registry/replog.ts'
import type { Proposal, Proposals, Stopped, Suggestion } from '../replay/suggestion.ts'
import { momentText } from '../text/when.ts'
import { wrap } from '../text/wrap.ts'
import { counted, grouped, shortName } from './number-text.ts'

const COLUMNS = 79
const DAY = 86_400_000
/** Accounts that are named in a sentence. */
const MOST_NAMED = 5
/** Commands for single accounts. */
const MOST_COMMANDS = 10
const LONGEST_ACCOUNT = 32

interface Period {
  readonly from: number
  readonly to: number
}

export interface Suggested {
  readonly period: Period
  readonly accounts: number
  readonly suggestion: Suggestion
  /** The value of a variable as it is. */
  readonly inForce: (name: string) => string
  /** The files; undefined: the history. */
  readonly source: string | undefined
}

export function noDataText(hasFiles: boolean): string {
  const where = hasFiles ? 'there' : 'in the history'
  return `Nothing to go by: no mail of a user who had logged in is ${where}.\n`
}

export function tooShortText(period: Period, accounts: number): string {
  return text(
    `${counted(accounts, 'account')} sent mail ${periodText(period)}. That is less than a week, too ` +
      'short to tell what is usual: weekends differ, and a newsletter may come once a week. ' +
      'No limit is proposed.',
  )
}

export function suggestionText(suggested: Suggested): string {
  const { period, accounts, suggestion, inForce, source } = suggested
  const { day, hour } = suggestion
  const days = daysOf(period)
  const names = [day.recommended, hour.recommended].map(assignment).join(' ')
  const own = [...day.own, ...hour.own]
  const commands = [
    `  mtpolicyctl set ${names}\n`,
    ...own.slice(0, MOST_COMMANDS).map(one => `  mtpolicyctl set ${assignment(one)}\n`),
  ]
  const rest = own.length - MOST_COMMANDS
  return [
    text(`${counted(accounts, 'account')} sent mail ${periodText(period)}.`),
    windowText('day', day, days, inForce(day.recommended.variable)),
    windowText('hour', hour, days, inForce(hour.recommended.variable)),
    `Proposed:\n\n${commands.join('')}`,
    ...(rest > 0
      ? [text(`and ${grouped(rest)} more of single accounts; --json has them all.`)]
      : []),
    ...unusualText(day),
    ...(source === undefined
      ? []
      : [`To see exactly what it does, before it is set:\n\n${replayCommand(source, suggestion)}`]),
  ].join('\n')
}

function windowText(
  window: 'day' | 'hour',
  { half, usual, most, all, recommended }: Proposals,
  days: number,
  inForce: string,
): string {
  const head =
    `Recipients per ${window}: half of the accounts never had more than ${grouped(half)}, ` +
    `95 % never more than ${grouped(usual)}; the most were ${grouped(most)}. ` +
    `The limit in force is ${inForce === 'unlimited' ? inForce : grouped(Number(inForce))}.`
  const rows = all.map(one => {
    const mark = one === recommended ? '* ' : '  '
    const sentence =
      `${mark}with ${grouped(one.value)} per ${window}, ` +
      `${stoppedText(one.stopped)} in ${counted(days, 'day')}${listText(one.stopped)}`
    return text(sentence, '    ')
  })
  return `${text(head)}\n${rows.join('')}`
}

function stoppedText(stopped: readonly Stopped[]): string {
  if (stopped.length === 0) return 'nobody would have been stopped'
  return `${counted(stopped.length, 'account')} would have been stopped`
}

function listText(stopped: readonly Stopped[]): string {
  if (stopped.length === 0) return ''
  const names = stopped
    .slice(0, MOST_NAMED)
    .map(({ account, times }) => `${shortName(account, LONGEST_ACCOUNT)}${timesText(times)}`)
  const rest = stopped.length - MOST_NAMED
  return `: ${[...names, ...(rest > 0 ? [`${grouped(rest)} more`] : [])].join(', ')}`
}

const timesText = (times: number): string => (times > 1 ? ` (${grouped(times)} times)` : '')

/** What does not happen again may be the newsletter of the year, or a stolen password. */
function unusualText({ recommended, unusual }: Proposals): string[] {
  if (unusual.length === 0) return []
  return [
    text(
      `Over ${grouped(recommended.value)}, but not regularly${listText(unusual)}. Nothing is proposed ` +
        'for that: find out first whether they meant to.',
    ),
  ]
}

function replayCommand(source: string, { day, hour }: Suggestion): string {
  const sets = [day.recommended, hour.recommended].map(one => `    --set ${assignment(one)}`)
  return `  mtpolicyctl replay ${shortName(source, 500)} \\\n${sets.join(' \\\n')}\n`
}

function assignment({ variable, value }: Proposal): string {
  return shortName(shellQuote(`${variable}=${value}`), 500)
}

function periodText(period: Period): string {
  const from = momentText(period.from).slice(0, 10)
  const to = momentText(period.to).slice(0, 10)
  return `from ${from} to ${to} (${counted(daysOf(period), 'day')})`
}

/** Begun ones, at least 1. */
function daysOf({ from, to }: Period): number {
  return Math.max(1, Math.ceil((to - from) / DAY))
}

function text(sentence: string, indent = ''): string {
  const lines = wrap(sentence, COLUMNS - indent.length)
  return `${lines.map((line, at) => (at === 0 ? line : `${indent}${line}`)).join('\n')}\n`
}
