/** All routes of the HTTP API but login and logout. */

import type { MakeRoutes } from '../router.ts'

export const apiRoutes: MakeRoutes = () => []
