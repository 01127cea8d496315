/** Where an account stands in its limits, in words: `53 of 1000 recipients today, until 12-02 00:00`. */

import type { AccountReport, LimitStanding } from '../control/protocol.ts'
import { refusesMail } from '../policy/verdict.ts'
import { printable } from '../text/columns.ts'
import { momentText } from './when.ts'

const BAR_COLUMNS = 10

/** Without the year. */
export const shortMoment = (at: number): string => momentText(at).slice('2026-'.length)

/** One sentence: can it send now? */
export function sentenceOf({ limits, observes }: AccountReport, name: string): string {
  const known = limits.filter(({ used }) => used !== null)
  const refusing = known.filter(({ next }) => next !== undefined && refusesMail(next))
  const worst = refusing.toSorted((a, b) => endOf(b) - endOf(a))[0]
  if (worst && observes)
    return `${name} can send, as nothing is refused in observe mode: ${usage(worst)}`
  if (worst) return `${name} cannot send: ${usage(worst)}${againText(worst)}`
  const held = known.find(({ next }) => next !== undefined)
  if (held) return `${name} can send, but is answered ${held.next}: ${usage(held)}`
  const [fullest] = known.toSorted((a, b) => shareOf(b) - shareOf(a))
  return fullest ? `${name} can send: ${usage(fullest)}` : `${name} can send: it has no limit`
}

const endOf = ({ again }: LimitStanding): number => again ?? Number.POSITIVE_INFINITY

function againText({ again }: LimitStanding): string {
  return again === null ? '' : `; again from ${momentText(again)}`
}

/** One limit in a sentence: `53 of 1000 recipients used today`. */
function usage(standing: LimitStanding): string {
  return `${amount(standing)} used${whose(standing)} ${inWindow(standing.window)}`
}

/** A row of the list. */
export function limitRow(standing: LimitStanding): string {
  const { problem, window, again } = standing
  if (problem !== undefined) return `not known: ${printable(problem)}`
  const turn =
    again === null ? '' : `, ${isRolling(window) ? 'again' : 'until'} ${shortMoment(again)}`
  return `${bar(shareOf(standing))}  ${amount(standing)}${whose(standing)} ${inWindow(window)}${turn}`
}

function amount({ used, limit, unit }: LimitStanding): string {
  const rounded = Math.floor((used ?? 0) * 10) / 10
  if (limit === 'unlimited') return `${rounded} ${unit} (unlimited)`
  return `${rounded} of ${limit} ${unit}`
}

function whose({ per, subject }: LimitStanding): string {
  if (per === 'server') return ' by everybody'
  return per === 'domain' ? ` by ${printable(subject)}` : ''
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
