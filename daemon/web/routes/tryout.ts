/** POST tryout: who would have been stopped by other settings in the last days. One at a time. */

import { openRegistry } from '../../registry/registry.ts'
import type { TryoutAnswer } from '../api.ts'
import { fieldsOf } from '../given.ts'
import { json, WebError } from '../reply.ts'
import type { MakeRoutes } from '../router.ts'
import { tryOut } from '../tryout/tryout.ts'
import { readChanges } from './variables.ts'

const DAY = 86_400_000
const USUAL_DAYS = 7
const MOST_DAYS = 90

export const tryoutRoutes: MakeRoutes = services => {
  let isBusy = false
  return [
    {
      method: 'POST',
      path: '/api/tryout',
      role: 'read',
      handle: async ({ body, signal }) => {
        const registry = openRegistry({ root: services.paths.root, env: process.env })
        const changes = readChanges(registry, body, ['days'])
        const days = daysIn(body)
        if (isBusy) throw new WebError(429, 'another one is being tried; try again in a minute')
        isBusy = true
        try {
          const until = services.clock.now()
          const since = until - days * DAY
          const answer: TryoutAnswer = await tryOut({ services, changes, since, until, signal })
          return json(answer)
        } finally {
          isBusy = false
        }
      },
    },
  ]
}

function daysIn(body: unknown): number {
  const { days = USUAL_DAYS } = fieldsOf(body, ['changes', 'days'])
  if (typeof days === 'number' && Number.isInteger(days) && days >= 1 && days <= MOST_DAYS) {
    return days
  }
  throw new WebError(400, `"days" must be a whole number from 1 to ${MOST_DAYS}`)
}
