/** All routes of the HTTP API but login and logout. */

import type { MakeRoutes } from '../router.ts'
import { sessionRoutes } from './session.ts'

export const apiRoutes: MakeRoutes = services => sessionRoutes(services)
