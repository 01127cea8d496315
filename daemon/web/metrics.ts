/** What `/metrics` shows. */

import type { DaemonStatus } from '../control/protocol.ts'

/** prometheus: text 0.0.4; openmetrics: 1.0, ends with `# EOF`. */
export type MetricsFormat = 'prometheus' | 'openmetrics'

/** Values of Content-Type. */
export const METRICS_TYPES: Readonly<Record<MetricsFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

export function renderMetrics(status: DaemonStatus, format: MetricsFormat): string {
  const end = format === 'openmetrics' ? '# EOF\n' : ''
  return `mtpolicyd_connections ${status.connections}\n${end}`
}
