/**
 * What holds for one subject of a limit: where it ends, and what happens then. The block has one rule, and
 * each of its <User>, <Domain> and <Group> blocks one that is derived from it.
 */

import type { Unit } from '../../policy/ports/ledger.ts'
import { optional, type SettingValues } from '../../policy/setting.ts'
import { MEGABYTE, most_megabytes, most_recipients, scaleOf, threshold } from './amount.ts'
import { type Excess, excess, type Grade, refusesExcess } from './excess.ts'

/** As configured. */
export interface Terms {
  /** In the unit of the configuration; undefined: none is set. */
  readonly threshold: number | undefined
  readonly excess: Excess
  readonly most_recipients: number | undefined
  readonly most_megabytes: number | undefined
}

/** As it is applied. All amounts are in the counter's unit, Infinity for none. */
export interface Rule {
  readonly terms: Terms
  /** Beyond it mail is refused. */
  readonly hard: number
  /** Ascending; at most the last one refuses. */
  readonly grades: readonly Grade[]
  /** What people are told: the hard limit, or where the last grade begins. */
  readonly limit: number
  /** Mail that brings what is used to this is marked in the log. */
  readonly nearAt: number
  readonly mostRecipients: number
  readonly mostBytes: number
  /** Is there a cap for a single message? */
  readonly isCapped: boolean
}

/** What a <User>, <Domain> or <Group> block may change. */
export const changes = {
  threshold: optional(threshold),
  excess: optional(excess),
  most_recipients: optional(most_recipients),
  most_megabytes: optional(most_megabytes),
}

export type Changes = SettingValues<typeof changes>

/**
 * A threshold without an excess replaces all grades: the action of the last one applies beyond it. An
 * action without a threshold applies where the block's last grade began.
 */
export function changed(terms: Terms, by: Changes): Terms {
  const caps = {
    most_recipients: by.most_recipients ?? terms.most_recipients,
    most_megabytes: by.most_megabytes ?? terms.most_megabytes,
  }
  if (by.excess) {
    const before = terms.threshold ?? terms.excess.grades?.at(-1)?.beyond
    return { ...caps, excess: by.excess, threshold: by.threshold ?? before }
  }
  return by.threshold === undefined
    ? { ...terms, ...caps }
    : { ...withThreshold(terms, by.threshold), ...caps }
}

/** The same with another number: nothing else of it changes, but grades become one. */
export function withThreshold(terms: Terms, threshold: number): Terms {
  return { ...terms, threshold, excess: { action: terms.excess.action, grades: undefined } }
}

/** @param warnAt percent of the limit; undefined: no warning. */
export function ruleOf(terms: Terms, unit: Unit, warnAt: number | undefined): Rule {
  const scale = scaleOf(unit)
  const { threshold = Number.POSITIVE_INFINITY, excess } = terms
  const single = Number.isFinite(threshold) ? [{ beyond: threshold, action: excess.action }] : []
  const grades = (excess.grades ?? single).map(({ beyond, action }) => ({
    beyond: beyond * scale,
    action,
  }))
  const last = grades.at(-1)
  const mostRecipients = terms.most_recipients ?? Number.POSITIVE_INFINITY
  const mostBytes = (terms.most_megabytes ?? Number.POSITIVE_INFINITY) * MEGABYTE
  const limit = last?.beyond ?? Number.POSITIVE_INFINITY
  return {
    terms,
    grades,
    limit,
    hard: last && refusesExcess(last.action) ? limit : Number.POSITIVE_INFINITY,
    nearAt: warnAt === undefined || limit === 0 ? Number.POSITIVE_INFINITY : (limit * warnAt) / 100,
    mostRecipients,
    mostBytes,
    isCapped: Number.isFinite(mostRecipients) || Number.isFinite(mostBytes),
  }
}
