/** Where an account stands in its limits, in words: `53 of 1000 recipients used today`. */

import type { AccountReport, LimitStanding } from '../control/protocol.ts'
import { refusesMail } from '../policy/verdict.ts'
import { printable } from '../text/columns.ts'
import { momentText } from '../text/when.ts'

const BAR_COLUMNS = 8

/** Without the year. */
export const shortMoment = (at: number): string => momentText(at).slice('2026-'.length)

/** Can it send now? Without the full stop. */
export function sentenceOf({ limits, observes }: AccountReport, name: string): string {
  const known = limits.filter(({ used }) => used !== null)
  const refusing = known.filter(({ next }) => next !== undefined && refusesMail(next))
  const [last] = refusing.toSorted((a, b) => endOf(b) - endOf(a))
  if (last) {
    return observes
      ? `${name} can send, because nothing is refused in observe mode: ${usage(last)}`
      : `${name} cannot send: ${usage(last)}${againText(last)}`
  }
  const marked = known.find(({ next }) => next !== undefined)
  if (marked) {
    const { next = '' } = marked
    const what = next === 'hold' ? 'its mail is held' : `its mail gets ${printable(next)}`
    return `${name} can send, but ${what}: ${usage(marked)}`
  }
  const own = known.filter(({ per }) => per === 'user')
  const [fullest] = (own.length > 0 ? own : known).toSorted((a, b) => shareOf(b) - shareOf(a))
  return `${name} can send: ${fullest ? usage(fullest) : 'no limit applies to it'}`
}

const endOf = ({ again }: LimitStanding): number => again ?? Number.POSITIVE_INFINITY

function againText({ again }: LimitStanding): string {
  return again === null ? '' : `; again from ${momentText(again)}`
}

function usage(standing: LimitStanding): string {
  const { unit, window } = standing
  const amount =
    standing.limit === 'unlimited' ? `${usedText(standing)} ${unit}` : `${ofText(standing)} ${unit}`
  return `${amount} used${whose(standing)} ${inWindow(window)}`
}

/** A row of the list, what matters least at its end. Recipients are what is usually meant. */
export function limitRow(standing: LimitStanding): string {
  const { problem, window, again, unit } = standing
  if (problem !== undefined) return `not known: ${printable(problem)}`
  const what = unit === 'recipients' ? '' : ` ${unit}`
  const turn = isRolling(window) ? 'again' : 'until'
  const end = again === null ? '' : `, ${turn} ${shortMoment(again)}`
  const amount = `${ofText(standing)}${what} ${inWindow(window)}`
  return `${bar(shareOf(standing))}  ${amount}${end}${sharedBy(standing)}`
}

const usedText = ({ used }: LimitStanding): string => String(Math.floor((used ?? 0) * 10) / 10)

const ofText = (standing: LimitStanding): string => `${usedText(standing)} of ${standing.limit}`

function whose({ per, subject }: LimitStanding): string {
  if (per === 'server') return ' by all accounts'
  return per === 'domain' ? ` by all of ${printable(subject)}` : ''
}

function sharedBy({ per, subject }: LimitStanding): string {
  if (per === 'server') return ' (all)'
  return per === 'domain' ? ` (${printable(subject)})` : ''
}

const isRolling = (window: string): boolean => /^\d/.test(window)

const UNITS: Readonly<Record<string, string>> = { m: 'minute', h: 'hour', d: 'day' }

function inWindow(window: string): string {
  const [, digits, letter = ''] = /^(\d+)([mhd])$/.exec(window) ?? []
  if (digits === undefined) return window === 'day' ? 'today' : `this ${window}`
  const unit = UNITS[letter] ?? letter
  return digits === '1' ? `in the last ${unit}` : `in the last ${digits} ${unit}s`
}

/** 1: all of it is used. */
function shareOf({ used, limit }: LimitStanding): number {
  if (typeof limit !== 'number') return 0
  return limit === 0 ? Number.POSITIVE_INFINITY : (used ?? 0) / limit
}

function bar(share: number): string {
  const filled = Math.floor(Math.min(1, share) * BAR_COLUMNS)
  // A little is not nothing.
  const shown = share > 0 ? Math.max(1, filled) : 0
  return '#'.repeat(shown).padEnd(BAR_COLUMNS, '.')
}
