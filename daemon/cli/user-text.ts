/**
 * What is known of an account, for a terminal: whether it can send comes first, then a line for each
 * thing. By default no more than a screen.
 */

import type { AccountReport, OrderedMeasure } from '../control/protocol.ts'
import type { Refusal, Seen, SeenMessage } from '../policy/ports/history.ts'
import { refusesMail } from '../policy/verdict.ts'
import { columnsOf, cutOff, padded, printable, shortened } from '../text/columns.ts'
import { wrap } from '../text/wrap.ts'
import { limitRow, sentenceOf, shortMoment } from './limit-text.ts'
import { isUnknown } from './unknown-account.ts'

const COLUMNS = 79
const LABEL_COLUMNS = 11
const ROW_COLUMNS = COLUMNS - LABEL_COLUMNS
const LONGEST_ACCOUNT = 40
const LONGEST_LIMIT = 12

interface Section {
  readonly label: string
  readonly rows: readonly string[]
  /** Rows on one screen. */
  readonly most: number
}

/**
 * @param isWhole everything, instead of what fits a screen of 25 lines
 * @param meant accounts that an unknown name may stand for
 */
export function userText(
  report: AccountReport,
  isWhole: boolean,
  meant: readonly string[] = [],
): string {
  const sections = sectionsOf(report, meant)
  const lines = sections.flatMap(section => sectionLines(section, isWhole))
  return [...headLines(headline(report), isWhole), '', ...lines, ''].join('\n')
}

/** At most two, if they are to fit a screen. */
function headLines(text: string, isWhole: boolean): string[] {
  const [first = '', ...rest] = wrap(text, COLUMNS)
  const lines = isWhole || rest.length < 2 ? [first, ...rest] : [first, rest.join(' ')]
  return lines.map(line => cutOff(line, COLUMNS))
}

function headline(report: AccountReport): string {
  const name = shortened(printable(report.account), LONGEST_ACCOUNT)
  const block = report.measures.find(({ kind }) => kind === 'block')
  if (!block) return `${sentenceOf(report, name)}${lastRefusalText(report)}.`
  return `${name} cannot send: blocked by ${printable(block.by)} ${untilText(block)}${whyText(block)}.`
}

/** An account that has room in its limits may be refused all the same, such as because of its country. */
function lastRefusalText({ limits, messages: [last] }: AccountReport): string {
  if (!last || !refusesMail(last.action)) return ''
  // That is what the sentence says already.
  if (limits.some(({ next }) => next !== undefined && refusesMail(next))) return ''
  const { code, by } = last
  const reason = code === '' ? ` by ${printable(by)}` : `: mtpolicyctl why ${printable(code)}`
  return `; its last mail was refused${reason}`
}

function sectionsOf(report: AccountReport, meant: readonly string[]): Section[] {
  const { limits, measures, refusals, countries, networks, messages } = report
  const width = Math.min(LONGEST_LIMIT, Math.max(0, ...limits.map(({ name }) => columnsOf(name))))
  const limitName = (name: string): string => padded(shortened(printable(name), width), width)
  return [
    { label: 'measures', most: 2, rows: measures.map(measureRow) },
    {
      label: 'limits',
      most: 5,
      rows: limits.map(one => `${limitName(one.name)}  ${limitRow(one)}`),
    },
    { label: 'refusals', most: 4, rows: refusals.map(refusalRow) },
    { label: 'countries', most: 3, rows: countries.map(seenRow) },
    { label: 'networks', most: 3, rows: networks.map(seenRow) },
    { label: 'messages', most: 4, rows: messages.map(messageRow) },
    { label: 'history', most: 2, rows: historyRows(report, meant) },
  ]
}

function sectionLines({ label, rows, most }: Section, isWhole: boolean): string[] {
  const shown = isWhole || rows.length <= most ? rows : rows.slice(0, most - 1)
  const hidden = rows.length - shown.length
  const lines = isWhole
    ? shown.flatMap(row => wrap(row, ROW_COLUMNS).map(line => cutOff(line, ROW_COLUMNS)))
    : shown.map(row => cutOff(row, ROW_COLUMNS))
  const more = hidden > 0 ? [`and ${hidden} more (--all)`] : []
  return [...lines, ...more].map(
    (line, at) => `${(at === 0 ? label : '').padEnd(LABEL_COLUMNS)}${line}`,
  )
}

function measureRow(measure: OrderedMeasure): string {
  const { kind, value, by } = measure
  const what = value === '' ? kind : `${kind} ${printable(value)}`
  return `${what} ${untilText(measure)}, by ${printable(by)}${whyText(measure)}`
}

function untilText({ until }: OrderedMeasure): string {
  return until === null ? 'until it is released' : `until ${shortMoment(Date.parse(until))}`
}

function whyText({ why }: OrderedMeasure): string {
  return why === '' ? '' : `: ${printable(why)}`
}

/** A refusal's verb and code say nothing that the heading does not say. */
const PLAIN_REFUSAL = /^(?:reject|5\d\d)\s+(?:5\.\d+\.\d+\s+)?(?=\S)/i

function refusalRow({ at, code, by, action }: Refusal): string {
  const text = `${by}: ${action.replace(PLAIN_REFUSAL, '')}`
  return [shortMoment(at), code, text]
    .filter(one => one !== '')
    .map(printable)
    .join('  ')
}

function seenRow({ name, first, last, messages }: Seen): string {
  const where = padded(name === '' ? 'unknown' : printable(name), 2)
  const what = messages === 0 ? 'nothing accepted' : countText(messages, 'message')
  const [from, to] = [shortMoment(first), shortMoment(last)]
  return `${where}  ${what}, ${from === to ? from : `${from} to ${to}`}`
}

function messageRow(message: SeenMessage): string {
  const { at, recipients, client, country } = message
  const from = [client, country]
    .filter(one => one !== '')
    .map(printable)
    .join(' ')
  return `${shortMoment(at)}  ${outcome(message)}, ${countText(recipients, 'recipient')}, ${from}`
}

function outcome({ action, by, code }: SeenMessage): string {
  if (/^dunno$/i.test(action)) return 'accepted'
  if (!refusesMail(action)) return printable(action)
  return `refused ${code === '' ? `by ${printable(by)}` : printable(code)}`
}

function historyRows(report: AccountReport, meant: readonly string[]): string[] {
  const { history } = report
  if (history.state === 'failed') return [`cannot be read: ${printable(history.problem)}`]
  if (history.state === 'off') {
    return [
      'off, so nothing else is known. To keep 90 days:',
      'mtpolicyctl set mtpolicyd/history/days=90',
    ]
  }
  if (!isUnknown(report)) return []
  const question = meant.length === 0 ? [] : [`do you mean ${meant.join(', ')}?`]
  return ['no mail of this account is known', ...question]
}

function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
