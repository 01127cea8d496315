/** metrics: what the daemon counts and measures, for Prometheus. */

import { renderMetrics } from '../../web/metrics.ts'
import { defineCommand } from '../command.ts'
import { NOT_RUNNING } from '../daemon-client.ts'

export const metrics = defineCommand({
  name: 'metrics',
  group: 'look',
  summary: 'print what the daemon counts and measures, for Prometheus',
  more: `
    Prints all metrics of the running daemon in the text format of Prometheus, each with its
    meaning: requests, verdicts, latency, counts, history, country data, DNS, process. None of them
    contains the name of a user. With the console switched on, Prometheus reads the same at
    /metrics; without it, the collector of node_exporter for text files can.

    Alert rules for Prometheus and a dashboard for Grafana are in
    /usr/share/doc/univention-mtpolicyd/monitoring/.
  `,
  options: {
    openmetrics: { type: 'boolean', doc: 'In the format OpenMetrics 1.0.0.' },
  },
  async run({ openmetrics }, { daemon, out }) {
    const status = await daemon.status()
    if (status === NOT_RUNNING) throw new Error(`the daemon is ${NOT_RUNNING}`)
    if (typeof status === 'string') throw new Error(status)
    out(renderMetrics(status, openmetrics ? 'openmetrics' : 'prometheus'))
    return 0
  },
})
