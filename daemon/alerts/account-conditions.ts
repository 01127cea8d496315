/**
 * What becomes of mail, as conditions of accounts: near a limit, at it, refused for its country. Told of every
 * request, so all that mail which passes costs is a few comparisons.
 */

import { ownText } from '../memory/own-text.ts'
import { dunno, isObjection, oneLine } from '../policy/verdict.ts'
import type { VerdictRecord } from '../policy/verdict-record.ts'
import { countryWords, limitWords, nearWords, type RuleWords } from './account-words.ts'
import type { Alert, Condition } from './alert.ts'
import type { Edges } from './edges.ts'
import { type Whom, whomOf } from './whom.ts'

/** What the plugins of a configuration do, by the name that decides. */
export interface Rules {
  readonly limits: ReadonlyMap<string, RuleWords & { readonly per: string }>
  readonly countries: ReadonlySet<string>
}

export const NO_RULES: Rules = { limits: new Map(), countries: new Set() }

/** Without a refusal for that long, the next one is told again. */
const CALM_MILLISECONDS: Readonly<Record<string, number>> = {
  'account-at-limit': 6 * 3_600_000,
  'limit-reached': 6 * 3_600_000,
  'country-refused': 24 * 3_600_000,
  'account-near': 24 * 3_600_000,
  'limit-near': 24 * 3_600_000,
}
/** A limit of a minute is near again and again: it is told once an hour. */
const AGAIN_MILLISECONDS = 3_600_000
/** A limit of which no more than that is used again holds nobody back. */
const EASED_SHARE = 0.5
const MOST_CHARACTERS = 256
/** Refusals of a message by itself, for its recipients or its size: they say nothing about the account. */
const OF_ONE_MESSAGE = /^\s*\w+ 5\.[35]\.[34] /

/** By `record.by`, the outermost name; a limit's own name is in `near`. */
export class AccountConditions {
  readonly #edges: Edges
  #rules = NO_RULES
  /** When a condition was last seen, by its alert's id; others were seen when they were raised. */
  readonly #seen = new Map<string, number>()
  /** Accounts that something holds of, so that others need no look. */
  #accounts: ReadonlyMap<string, readonly Alert[]> | undefined

  constructor(edges: Edges) {
    this.#edges = edges
  }

  use(rules: Rules): void {
    this.#rules = rules
  }

  /** What is in force has changed. */
  changed(): void {
    this.#accounts = undefined
  }

  readonly note = (record: VerdictRecord): void => {
    const { sent, facts } = record
    if (sent !== undefined && sent !== dunno && isObjection(sent))
      this.#refused(record, sent, false)
    else {
      const [objection] = record.objections
      if (objection) this.#refused(record, objection.action, true)
      else if (this.#edges.all.size > 0) this.#passed(record)
    }
    if (typeof facts.near === 'string') this.#near(record, facts.near)
  }

  /** To be called now and then: ends what was not seen for long. */
  sweep(now: number): void {
    for (const alert of [...this.#edges.all.values()]) {
      const calm = CALM_MILLISECONDS[alert.kind]
      if (calm === undefined) continue
      const seen = this.#seen.get(alert.id) ?? alert.at
      if (Math.abs(now - seen) < calm) continue
      this.#seen.delete(alert.id)
      this.#edges.clear(alert)
    }
    const ids = new Set([...this.#edges.all.values()].map(({ id }) => id))
    for (const id of this.#seen.keys()) if (!ids.has(id)) this.#seen.delete(id)
  }

  #near(record: VerdictRecord, near: string): void {
    const { facts, at } = record
    const { used, limit } = facts
    if (typeof used !== 'number' || typeof limit !== 'number') return
    for (const name of near.split(',')) {
      const rule = this.#rules.limits.get(name)
      const whom = this.#whom(record, rule?.per ?? 'user')
      const isOwn = whom.per === 'user'
      const account = isOwn ? whom.name : ''
      if (isOwn && account === '') continue
      const condition: Condition = {
        kind: isOwn ? 'account-near' : 'limit-near',
        key: ownText(`${whom.name}\n${name}`),
        severity: 'note',
        account,
        ...nearWords(whom, used, limit, rule),
        facts: { ...this.#who(record, whom), limits: own(name), used, limit },
      }
      const before = this.#edges.of(condition)
      if (before && Math.abs(at - before.at) < AGAIN_MILLISECONDS) continue
      this.#edges.raiseAgain(condition)
    }
  }

  #refused(record: VerdictRecord, action: string, isObserved: boolean): void {
    const { account, facts } = record
    const by = isObserved ? (record.objections[0]?.by ?? '') : record.by
    if (account === '') return
    const rule = this.#rules.limits.get(by)
    if (rule && !OF_ONE_MESSAGE.test(action)) this.#atLimit(record, action, rule, isObserved)
    if (!this.#rules.countries.has(by)) return
    const country = typeof facts.country === 'string' ? facts.country : ''
    this.#see(record, {
      kind: 'country-refused',
      key: `${account}\n${country}`,
      severity: 'warning',
      make: () => ({
        account: own(account),
        ...countryWords(own(account), own(country), own(record.client), isObserved),
        facts: {
          ...this.#who(record, this.#whom(record, 'user')),
          country: own(country),
          rule: own(by),
          action: own(action),
        },
      }),
    })
  }

  #atLimit(
    record: VerdictRecord,
    action: string,
    rule: RuleWords & { readonly per: string },
    isObserved: boolean,
  ): void {
    const whom = this.#whom(record, rule.per)
    const isOwn = whom.per === 'user'
    this.#see(record, {
      kind: isOwn ? 'account-at-limit' : 'limit-reached',
      key: `${whom.name}\n${rule.name}`,
      severity: 'warning',
      make: () => {
        const used = numberOf(record.facts.used)
        const limit = numberOf(record.facts.limit)
        const how = { isHeld: /^\s*hold\b/i.test(action), isObserved }
        return {
          account: isOwn ? whom.name : '',
          ...limitWords(whom, used, limit, rule, how),
          facts: {
            ...this.#who(record, whom),
            rule: rule.name,
            ...(used === undefined ? {} : { used }),
            ...(limit === undefined ? {} : { limit }),
            action: own(action),
          },
        }
      },
    })
  }

  #see(
    record: VerdictRecord,
    given: Pick<Condition, 'kind' | 'key' | 'severity'> & {
      readonly make: () => Pick<Condition, 'account' | 'what' | 'why' | 'remedy' | 'facts'>
    },
  ): void {
    const before = this.#edges.of(given)
    if (before) {
      this.#seen.set(before.id, record.at)
      return
    }
    const { make, ...condition } = given
    this.#edges.raise({ ...condition, key: ownText(given.key), ...make() })
  }

  /** Mail that passes may show that a limit does not hold the account back any more. */
  #passed(record: VerdictRecord): void {
    const { used, limit } = record.facts
    if (typeof used !== 'number' || typeof limit !== 'number') return
    if (used > limit * EASED_SHARE) return
    this.#accounts ??= Map.groupBy(this.#edges.all.values(), one => one.account)
    for (const alert of this.#accounts.get(record.account) ?? []) {
      const isOfLimit = alert.kind === 'account-near' || alert.kind === 'account-at-limit'
      if (!isOfLimit || alert.facts.limit !== limit) continue
      // A limit of a minute must not be told every minute.
      if (Math.abs(record.at - alert.at) >= AGAIN_MILLISECONDS) this.#edges.clear(alert)
    }
  }

  #whom(record: VerdictRecord, per: string): Whom {
    return { per, name: own(whomOf(record, per).name) }
  }

  #who({ user, client }: VerdictRecord, { per, name }: Whom): Record<string, string> {
    if (per === 'user') return { user: own(user), client: own(client) }
    return name === '' ? { per } : { per, [per]: name }
  }
}

/** Kept for longer than the request, and shown to people. */
function own(text: string): string {
  return ownText(oneLine(text).slice(0, MOST_CHARACTERS).toWellFormed())
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}
