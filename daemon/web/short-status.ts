/** The daemon's status as consoles need it. */

import type { DaemonStatus } from '../control/protocol.ts'
import type { HistoryState, Status } from './api.ts'

export function shortStatus(status: DaemonStatus): Status {
  const { version, since, mode, origin, configuration, endpoints, connections, warnings } = status
  const { requests, refused, deadlines, failures, store, geoip, measures, nearLimits } = status
  return {
    version,
    since,
    mode,
    origin,
    configuration,
    endpoints,
    connections,
    requests,
    refused,
    deadlines,
    failures,
    store: { state: store.state, durability: store.durability },
    geoip: { state: geoip.state, ageDays: geoip.ageDays },
    measures: measures?.inForce ?? 0,
    nearLimits: nearLimits ?? [],
    warnings,
  }
}

export function historyState(status: DaemonStatus | undefined): HistoryState {
  const { state = 'off', problem, days = 0 } = status?.history ?? {}
  return { state, problem, days }
}
