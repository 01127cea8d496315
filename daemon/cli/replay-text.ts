/** What a replay has shown, for a terminal. */

import type { LeftOut } from '../replay/mail-log.ts'
import type { AccountRefusals, Refusals } from '../replay/refusals.ts'
import type { Sent } from '../replay/sending.ts'
import type { Idle } from '../replay/trial.ts'
import { momentText } from '../text/when.ts'
import { wrap } from '../text/wrap.ts'
import { columns, counted, grouped, shortName, timeText } from './number-text.ts'

const COLUMNS = 79
/** Accounts that are listed. */
const MOST_LISTED = 20
/** Senders that are listed. */
const MOST_SENDERS = 5
const LONGEST_ACCOUNT = 28
const LONGEST_PLUGIN = 14
const NO_LOGIN = '(no login)'

export interface Replayed {
  readonly set: readonly string[]
  readonly config: string | undefined
  readonly compare: readonly string[]
  readonly requests: number
  readonly milliseconds: number
  /** Times of the first and the last request, milliseconds since 1970. */
  readonly from: number
  readonly to: number
  /** Lines that were skipped. */
  readonly damaged: number
  /** Messages of logs that are left out; undefined: there was no log. */
  readonly leftOut: LeftOut | undefined
  /** Requests that the two configurations answer differently. */
  readonly differing: number
  /** What each account has sent, whatever would have become of it. */
  readonly sent: readonly Sent[]
  /** One for each configuration. */
  readonly refusals: readonly Refusals[]
  /** What would have been held, or redirected and the like, as `refusals`. */
  readonly held: readonly Refusals[]
  readonly idle: readonly Idle[]
}

export function replayText(replayed: Replayed): string {
  const { requests, refusals, set, config } = replayed
  const [first, second] = refusals
  if (requests === 0 || !first) {
    return [
      'No requests: no message of anybody who had logged in was found.',
      ...leftOutLines(replayed),
      ...incompleteLines(replayed),
      '',
    ].join('\n')
  }
  const tried =
    config !== undefined
      ? `Configuration: ${config}`
      : set.length > 0
        ? `With ${set.join(' ')}`
        : 'With the settings in use'
  return [
    ...lines(headText(replayed)),
    ...leftOutLines(replayed),
    ...lines(second ? `${tried}, and compared with ${replayed.compare.join(' ')}:` : `${tried}:`),
    '',
    second
      ? comparedText([first, second], replayed.held, replayed.differing)
      : refusedText(first, replayed.held[0]),
    sentText(replayed.sent),
    ...idleLines(replayed.idle),
  ].join('\n')
}

function headText({ requests, from, to, milliseconds, damaged }: Replayed): string {
  const took = timeText(milliseconds / 1000)
  const left = damaged === 0 ? '' : ` ${counted(damaged, 'damaged line')} skipped.`
  const period = `from ${momentText(from)} to ${momentText(to)}`
  return `${counted(requests, 'request')} ${period}, replayed in ${took}.${left}`
}

/** What is not among the requests, so that nobody takes a log for more than it is. */
function leftOutLines({ leftOut, requests, damaged }: Replayed): string[] {
  const unread = requests > 0 || damaged === 0 ? [] : [counted(damaged, 'damaged line')]
  const { withoutLogin = 0, unaccepted = 0, unnamed = 0 } = leftOut ?? {}
  const parts = [
    ...unread,
    ...some(withoutLogin, 'accepted without a login'),
    ...some(unaccepted, 'of users refused, held or cut off'),
    ...some(unnamed, 'of users through a filter'),
  ]
  return parts.length === 0 ? [] : lines(`Left out: ${parts.join(', ')}.`)
}

/** Excerpts of a log, such as grep makes, have no end of any message. */
function incompleteLines({ leftOut }: Replayed): string[] {
  const isExcerpt = leftOut !== undefined && leftOut.unaccepted > 0 && leftOut.withoutLogin === 0
  return isExcerpt
    ? lines(
        'There is no line of the queue manager (nrcpt=) in it, which tells that a message was ' +
          'accepted: give the whole log rather than lines of it.',
      )
    : []
}

function some(count: number, what: string): string[] {
  return count === 0 ? [] : [`${counted(count, 'message')} ${what}`]
}

function refusedText(refusals: Refusals, held: Refusals | undefined): string {
  const refused =
    refusals.requests === 0
      ? 'Nothing would have been refused.\n'
      : tableOf('Would have been refused', refusals)
  const isHeld = held !== undefined && held.requests > 0
  return isHeld ? `${refused}\n${tableOf('Would have been held or redirected', held)}` : refused
}

function tableOf(heading: string, { accounts, requests, recipients }: Refusals): string {
  const sum = `${counted(requests, 'request')} of ${counted(accounts.length, 'account')}`
  const rows = accounts
    .slice(0, MOST_LISTED)
    .map(one => [
      nameOf(one),
      grouped(one.requests),
      grouped(one.recipients),
      momentText(one.first),
      pluginsOf(one),
    ])
  const head = ['ACCOUNT', 'REQUESTS', 'RECIPIENTS', 'SINCE', 'BY']
  return (
    `${lines(`${heading}: ${sum}, ${counted(recipients, 'recipient')}.`).join('\n')}\n\n` +
    columns([head, ...rows], [1, 2]) +
    restText(accounts.length)
  )
}

/** So that a log alone shows which account stands out. */
function sentText(sent: readonly Sent[]): string {
  if (sent.length === 0) return ''
  const rows = sent
    .map(({ account, days, largestHour }) => {
      const ofDays = [...days.values()]
      return { account, all: ofDays.reduce((a, b) => a + b, 0), ofDays, largestHour }
    })
    .toSorted((a, b) => b.all - a.all)
    .slice(0, MOST_SENDERS)
    .map(({ account, all, ofDays, largestHour }) => [
      nameOf({ account }),
      grouped(all),
      grouped(ofDays.reduce((a, b) => Math.max(a, b), 0)),
      grouped(largestHour),
    ])
  const head = ['SENT MOST', 'RECIPIENTS', 'IN A DAY', 'IN AN HOUR']
  return columns([head, ...rows], [1, 2, 3])
}

function comparedText(
  [first, second]: readonly [Refusals, Refusals],
  [heldFirst, heldSecond]: readonly Refusals[],
  differing: number,
): string {
  const held = [heldFirst?.requests ?? 0, heldSecond?.requests ?? 0]
  const sums = columns(
    [
      ['REFUSED', 'NOW', 'COMPARED'],
      ['requests', grouped(first.requests), grouped(second.requests)],
      ['recipients', grouped(first.recipients), grouped(second.recipients)],
      ['accounts', grouped(first.accounts.length), grouped(second.accounts.length)],
      ...(held.some(count => count > 0) ? [['held', ...held.map(grouped)]] : []),
    ],
    [1, 2],
  )
  if (differing === 0) return `${sums}\nAll requests are answered alike.\n`
  const names = new Set([...first.accounts, ...second.accounts].map(({ account }) => account))
  const rows = [...names]
    .map(account => ({ account, now: first.of(account), other: second.of(account) }))
    .filter(({ now, other }) => now?.requests !== other?.requests)
    .toSorted((a, b) => changeOf(b) - changeOf(a))
  const listed = rows
    .slice(0, MOST_LISTED)
    .map(({ account, now, other }) => [
      nameOf({ account }),
      refusedOf(now),
      refusedOf(other),
      momentText(Math.min(now?.first ?? Infinity, other?.first ?? Infinity)),
      other ? pluginsOf(other) : '',
    ])
  const head = ['ACCOUNT', 'NOW', 'COMPARED', 'SINCE', 'BY']
  return (
    `${sums}\n${counted(differing, 'request')} would be answered differently. ` +
    'Recipients refused, by account:\n\n' +
    columns([head, ...listed], [1, 2]) +
    restText(rows.length)
  )
}

type Compared = Readonly<Record<'now' | 'other', AccountRefusals | undefined>>

function changeOf({ now, other }: Compared): number {
  return Math.abs((other?.recipients ?? 0) - (now?.recipients ?? 0))
}

function refusedOf(one: AccountRefusals | undefined): string {
  return grouped(one?.recipients ?? 0)
}

function restText(accounts: number): string {
  const rest = accounts - MOST_LISTED
  return rest > 0 ? `  and ${counted(rest, 'more account')}\n` : ''
}

function nameOf({ account }: Pick<AccountRefusals, 'account'>): string {
  return account === '' ? NO_LOGIN : shortName(account, LONGEST_ACCOUNT)
}

/** The one that refused most first. */
function pluginsOf({ by }: AccountRefusals): string {
  const names = [...by].toSorted((a, b) => b[1] - a[1]).map(([name]) => name)
  return shortName(names.join(','), LONGEST_PLUGIN)
}

function idleLines(idle: readonly Idle[]): string[] {
  const seen = new Map(idle.map(one => [`${one.plugin} ${one.kind}`, one]))
  return [...seen.values()].flatMap(({ plugin, kind, why, times }) =>
    lines(`Plugin ${plugin} ${kind} ${counted(times, 'time')}: ${why}`),
  )
}

function lines(text: string): string[] {
  return wrap(shortName(text, 1000), COLUMNS)
}
