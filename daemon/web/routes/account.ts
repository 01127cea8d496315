/** GET account/NAME, its plot and its audit trail; GET accounts: names for a search field. */

import type { ArgumentsOf, ResultOf } from '../../control/control.ts'
import { refusalLine } from '../../policy/refusal-line.ts'
import type { Account, AccountSeries, Accounts, Audit, AuditEntry } from '../api.ts'
import { askHistory } from '../ask-history.ts'
import type { Daemon } from '../daemon.ts'
import { countIn, spanIn } from '../given.ts'
import { plotOf } from '../plot.ts'
import { json } from '../reply.ts'
import type { MakeRoutes } from '../router.ts'

const DAY = 86_400_000
const USUAL_DAYS = 14
const MOST_DAYS = 366
const MOST_NAMES = 100
/** Entries of an audit trail. */
const MOST_ENTRIES = 1000

export const accountRoutes: MakeRoutes = ({ daemon, clock }) => [
  {
    method: 'GET',
    path: '/api/accounts',
    role: 'read',
    handle: async ({ query }) => {
      const most = countIn(query, 'most', MOST_NAMES, MOST_NAMES)
      const names = await daemon.call('accounts', { prefix: query.get('prefix') ?? '' })
      const answer: Accounts = { accounts: names.slice(0, most) }
      return json(answer)
    },
  },
  {
    method: 'GET',
    path: '/api/account/:name',
    role: 'read',
    handle: async ({ params }) => json(await report(daemon, params.name ?? '')),
  },
  {
    method: 'GET',
    path: '/api/account/:name/series',
    role: 'read',
    handle: async ({ params, query }) => {
      const account = params.name ?? ''
      const span = spanIn(query, clock.now(), USUAL_DAYS * DAY, MOST_DAYS * DAY)
      const sums = await askHistory(daemon, 'series', { ...span, account })
      const answer: AccountSeries = { account, ...span, series: plotOf(sums) }
      return json(answer)
    },
  },
  {
    method: 'GET',
    path: '/api/account/:name/audit',
    role: 'read',
    handle: async ({ params }) => json(await audit(daemon, params.name ?? '')),
  },
]

async function report(daemon: Daemon, name: string): Promise<Account> {
  const [found, status] = await Promise.all([askHistory(daemon, 'user', { name }), daemon.status()])
  return {
    ...found,
    history: { ...found.history, days: status.history?.days ?? 0 },
    refusals: found.refusals.map(refusalLine),
  }
}

async function audit(daemon: Daemon, account: string): Promise<Audit> {
  const inForce = await all(daemon, 'measures', account)
  const ended = await all(daemon, 'endedMeasures', account)
  const entries = [
    ...inForce.map((one): AuditEntry => ({ ...one, state: 'in force', ended: null, endedBy: '' })),
    ...ended.map(({ how, ...one }): AuditEntry => ({ ...one, state: how })),
  ]
  const latest = entries.toSorted((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0))
  return { entries: latest.slice(0, MOST_ENTRIES) }
}

type Lists = 'measures' | 'endedMeasures'

async function all<Name extends Lists>(
  daemon: Daemon,
  list: Name,
  account: string,
): Promise<ResultOf<Name>['items'][number][]> {
  const items: ResultOf<Name>['items'][number][] = []
  for (;;) {
    const given: ArgumentsOf<Lists> = { account, from: String(items.length) }
    const portion = await daemon.call(list, given)
    items.push(...portion.items)
    if (!portion.hasMore || items.length >= MOST_ENTRIES) return items
  }
}
