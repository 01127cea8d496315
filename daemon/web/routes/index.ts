/** All routes of the console's API. */

import type { MakeRoutes } from '../router.ts'
import { accountRoutes } from './account.ts'
import { eventRoutes } from './events.ts'
import { findingsRoutes } from './findings.ts'
import { measureRoutes } from './measures.ts'
import { refusalsRoutes } from './refusals.ts'
import { sessionRoutes } from './session.ts'
import { todayRoutes } from './today.ts'
import { tryoutRoutes } from './tryout.ts'
import { variableRoutes } from './variables.ts'
import { whyRoutes } from './why.ts'

export const apiRoutes: MakeRoutes = services =>
  [
    sessionRoutes,
    todayRoutes,
    findingsRoutes,
    accountRoutes,
    measureRoutes,
    refusalsRoutes,
    whyRoutes,
    variableRoutes,
    tryoutRoutes,
    eventRoutes,
  ].flatMap(make => make(services))
