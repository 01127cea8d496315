/** GET session: who is logged in, and to which host. */

import { hostname } from 'node:os'
import { version } from '../../version.ts'
import type { Session } from '../api.ts'
import { json, WebError } from '../reply.ts'
import type { MakeRoutes } from '../router.ts'

export const sessionRoutes: MakeRoutes = () => [
  {
    method: 'GET',
    path: '/api/session',
    role: 'read',
    handle: ({ session }) => {
      if (!session) throw new WebError(401, 'nobody is logged in')
      const answer: Session = {
        user: session.name,
        role: session.role,
        host: hostname(),
        version,
      }
      return json(answer)
    },
  },
]
