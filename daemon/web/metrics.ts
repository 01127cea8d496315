/** What `/metrics` shows. */

import type { DaemonStatus } from '../control/protocol.ts'

/** prometheus: text 0.0.4; openmetrics: 1.0, ends with `# EOF`. */
export type MetricsFormat = 'prometheus' | 'openmetrics'

export function renderMetrics(status: DaemonStatus, format: MetricsFormat): string {
  const end = format === 'openmetrics' ? '# EOF\n' : ''
  return `mtpolicyd_connections ${status.connections}\n${end}`
}
