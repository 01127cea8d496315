/** GET today: what was sent and refused over time, from where and by whom. */

import { describeError } from '../../system/errors.ts'
import type { Today } from '../api.ts'
import { askHistory } from '../ask-history.ts'
import { spanIn } from '../given.ts'
import { KeptAnswers } from '../kept-answers.ts'
import { plotOf } from '../plot.ts'
import { json } from '../reply.ts'
import type { MakeRoutes, Services } from '../router.ts'
import { historyState, shortStatus } from '../short-status.ts'

const DAY = 86_400_000
const MOST_DAYS = 366
const MOST_SENDERS = 20
/** All consoles show the same. */
const GOOD_MILLISECONDS = 5000

export const todayRoutes: MakeRoutes = services => {
  const kept = new KeptAnswers<Today>(services.clock, GOOD_MILLISECONDS)
  return [
    {
      method: 'GET',
      path: '/api/today',
      role: 'read',
      handle: async ({ query }) => {
        const { since, until } = spanIn(query, services.clock.now(), DAY, MOST_DAYS * DAY)
        const key = `${query.get('since') ?? ''} ${query.get('until') ?? ''}`
        return json(await kept.get(key, () => today(services, since, until)))
      },
    },
  ]
}

async function today({ daemon }: Services, since: number, until: number): Promise<Today> {
  const status = await daemon.status().catch(() => undefined)
  const history = historyState(status)
  const shown = status && shortStatus(status)
  const series = { step: 3_600_000, times: [], messages: [], recipients: [], refused: [] }
  const nothing = { since, until, status: shown, history, series, countries: [], top: [] }
  if (!status || history.state === 'off') return nothing
  try {
    const [sums, countries, top] = await Promise.all([
      askHistory(daemon, 'series', { since, until }),
      askHistory(daemon, 'countries', { since, until }),
      askHistory(daemon, 'top', { since, until, by: 'recipients', most: MOST_SENDERS }),
    ])
    return { ...nothing, series: plotOf(sums), countries, top: top.senders }
  } catch (error) {
    const problem = describeError(error)
    return { ...nothing, history: { ...history, state: 'failed', problem } }
  }
}
