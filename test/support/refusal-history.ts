/** A history that keeps refusals in memory, with their steps, and nothing else; it answers at once. */

import { decisionCode } from '../../daemon/policy/decision-code.ts'
import type { History, Refusal, RefusalKey, SeenStep } from '../../daemon/policy/ports/history.ts'
import type { VerdictRecord } from '../../daemon/policy/verdict-record.ts'

export interface RefusalHistory extends History {
  /** What was noted, whatever it was, in order. */
  readonly noted: readonly VerdictRecord[]
  /** The first one first; one per code. */
  readonly kept: readonly Refusal[]
}

export function refusalHistory(): RefusalHistory {
  const noted: VerdictRecord[] = []
  const refusals = new Map<string, Refusal>()
  let codes = 0
  const hasKey = (refusal: Refusal, key: RefusalKey): boolean => {
    if ('code' in key) return refusal.code === key.code
    const { attributes } = refusal
    if ('queueId' in key) return attributes.queue_id === key.queueId
    return attributes.instance === key.instance
  }
  return {
    noted,
    get kept() {
      return [...refusals.values()]
    },
    nextCode: () => decisionCode(codes++),
    note(record) {
      noted.push(record)
      if (record.code !== '') refusals.set(record.code, refusalOf(record))
    },
    explained(code: string, steps: readonly SeenStep[]) {
      const refusal = refusals.get(code)
      if (refusal) refusals.set(code, { ...refusal, steps })
    },
    refusals: async key => [...refusals.values()].filter(one => hasKey(one, key)).toReversed(),
    top: async () => [],
    account: async () => undefined,
    accounts: async () => [],
    recentCodes: async () => [],
    async *hours() {},
    series: async since => ({ first: since, messages: [0], recipients: [0], refused: [0] }),
    countries: async () => [],
    refusalPage: async () => ({ refusals: [], next: undefined, reached: undefined }),
    forget: () => Promise.reject(new Error('it has nothing to forget')),
    status: () => ({ state: 'ok', problem: undefined, days: 90, gaps: [] }),
  }
}

function refusalOf(record: VerdictRecord): Refusal {
  const { code, at, request, facts, host, by, why, action = '', recipients, size } = record
  return {
    code,
    at,
    account: request.account(''),
    country: String(facts.country ?? ''),
    recipients,
    bytes: size,
    host,
    action,
    by,
    why,
    facts: { ...facts },
    attributes: Object.fromEntries(request.attributes),
    steps: undefined,
  }
}
