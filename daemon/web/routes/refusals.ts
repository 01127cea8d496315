/** GET refusals: those that are looked for, the newest first, page by page. */

import { MOST_REFUSALS } from '../../control/history-arguments.ts'
import type { Refusals } from '../api.ts'
import { askHistory } from '../ask-history.ts'
import { countIn, textIn, timeIn } from '../given.ts'
import { json } from '../reply.ts'
import type { MakeRoutes } from '../router.ts'

const USUAL = 50

export const refusalsRoutes: MakeRoutes = ({ daemon }) => [
  {
    method: 'GET',
    path: '/api/refusals',
    role: 'read',
    handle: async ({ query }) => {
      const answer: Refusals = await askHistory(daemon, 'refusalList', {
        account: textIn(query, 'account'),
        code: textIn(query, 'code'),
        country: textIn(query, 'country')?.toUpperCase(),
        rule: textIn(query, 'rule'),
        since: timeIn(query, 'since'),
        until: timeIn(query, 'until'),
        before: textIn(query, 'before'),
        most: countIn(query, 'most', USUAL, MOST_REFUSALS),
      })
      return json(answer)
    },
  },
]
