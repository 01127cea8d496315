/** metrics: what the daemon counts and measures, for Prometheus. */

import { resolve } from 'node:path'
import { replaceFile } from '../../system/replace-file.ts'
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
    /metrics; without it, the collector of node_exporter for text files can: with --to they are
    written into a file as a whole, which everybody may read. While the daemon does not run, the
    file stays as it is, and nothing is printed: cron would mail it every minute, and the age of the
    file tells it (MtpolicydMetricsOld). The exit status is 1 then.

    Alert rules for Prometheus and a dashboard for Grafana are in
    /usr/share/doc/univention-mtpolicyd/monitoring/.
  `,
  options: {
    to: { type: 'string', argument: 'FILE', doc: 'Write them into that file, such as NAME.prom.' },
    openmetrics: { type: 'boolean', doc: 'In the format OpenMetrics 1.0.0.' },
  },
  async run({ openmetrics, to }, { daemon, out }) {
    const status = await daemon.status()
    if (typeof status === 'string') {
      if (to !== undefined) return 1
      throw new Error(status === NOT_RUNNING ? `the daemon is ${NOT_RUNNING}` : status)
    }
    const text = renderMetrics(status, openmetrics ? 'openmetrics' : 'prometheus')
    if (to === undefined) out(text)
    else write(resolve(to), text)
    return 0
  },
})

/** The collector reads files whose names end in `.prom`, as a user of its own. */
function write(path: string, text: string): void {
  replaceFile(path, text, {
    temporary: `${path}.new`,
    mode: 0o644,
    sync: 'nothing',
    mountPoint: 'write in place',
  })
}
