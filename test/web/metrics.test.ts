/** Metrics as text: both formats, what they escape, and which one a reader gets. */

import t from 'tap'
import type { DaemonStatus } from '../../daemon/control/protocol.ts'
import { openMeters } from '../../daemon/run/meters.ts'
import { metricsFormatOf, renderMetrics } from '../../daemon/web/metrics.ts'
import { readOpenMetrics, valueIn } from '../support/open-metrics.ts'
import { promtool, promtoolMissing } from '../support/promtool.ts'

const PLUGIN = {
  host: 'default',
  plugin: 'default/limit',
  module: 'SendingLimit',
  runs: 3,
  failures: 1,
  lastFailure: '',
  milliseconds: 1.5,
}

function statusWith(more: Partial<DaemonStatus>): DaemonStatus {
  return {
    version: '0.2.0',
    pid: 1,
    since: '',
    configuration: '',
    origin: 'variables',
    mode: 'enforce',
    endpoints: [],
    connections: 0,
    requests: 0,
    refused: 0,
    deadlines: 0,
    failures: 0,
    store: { path: '', state: 'ok', durability: 'normal' },
    geoip: {
      path: '',
      builtAt: undefined,
      ageDays: undefined,
      state: 'absent',
      problem: undefined,
    },
    dns: { servers: [], cached: 0, questions: 0, failures: 0, silent: [], refusing: [] },
    recipientOnlyServices: [],
    plugins: [],
    warnings: [],
    droppedLogLines: 0,
    ...more,
  }
}

function someStatus(): DaemonStatus {
  const meters = openMeters()
  meters.counter(
    { name: 'verdicts', unit: 'requests', help: 'With "quotes", a \\ and\na second line.' },
    { plugin: 'a "b" \\ c\nd', action: 'refuse' },
  ).value = 7
  meters.counter({ name: 'cpu_seconds', unit: 'seconds', help: 'CPU time.' }).value = 1.25
  meters.gauge({ name: 'memory_bytes', unit: 'bytes', help: 'Memory.' }, () => 1e21)
  const seconds = meters.histogram({
    ...{ name: 'answer_seconds', unit: 'seconds', help: 'Time.', least: 2 ** -14, buckets: 16 },
  })
  for (const value of [1e-6, 0.3, 100]) seconds.note(value)
  return statusWith({ meters: meters.read(), plugins: [PLUGIN, PLUGIN] })
}

t.test('Prometheus reads types, units, labels and histograms', async t => {
  const text = renderMetrics(someStatus(), 'prometheus')
  for (const line of [
    '# TYPE mtpolicyd_build_info gauge',
    'mtpolicyd_build_info{version="0.2.0"} 1',
    '# HELP mtpolicyd_verdicts_total With "quotes", a \\\\ and\\na second line.',
    '# TYPE mtpolicyd_verdicts_total counter',
    'mtpolicyd_verdicts_total{plugin="a \\"b\\" \\\\ c\\nd",action="refuse"} 7',
    'mtpolicyd_cpu_seconds_total 1.25',
    'mtpolicyd_memory_bytes 1e+21',
    '# TYPE mtpolicyd_answer_seconds histogram',
    'mtpolicyd_answer_seconds_bucket{le="6.103515625e-05"} 1',
    'mtpolicyd_answer_seconds_bucket{le="0.25"} 1',
    'mtpolicyd_answer_seconds_bucket{le="2"} 2',
    'mtpolicyd_answer_seconds_bucket{le="+Inf"} 3',
    'mtpolicyd_answer_seconds_count 3',
  ]) {
    t.ok(text.split('\n').includes(line), line)
  }
  t.ok(text.endsWith('\n'))
  t.notMatch(text, '# EOF')
  t.notMatch(text, '# UNIT')
})

t.test('OpenMetrics is what its specification says, to the last line', async t => {
  const text = renderMetrics(someStatus(), 'openmetrics')
  const families = readOpenMetrics(text)
  t.match(families.get('mtpolicyd_build'), { type: 'info' })
  t.match(families.get('mtpolicyd_cpu_seconds'), { type: 'counter', unit: 'seconds' })
  t.match(families.get('mtpolicyd_memory_bytes'), { type: 'gauge', unit: 'bytes' })
  t.match(families.get('mtpolicyd_answer_seconds'), { type: 'histogram', unit: 'seconds' })
  t.match(families.get('mtpolicyd_verdicts'), { unit: '' })
  t.equal(valueIn(families, 'mtpolicyd_verdicts_total', { plugin: 'a "b" \\ c\nd' }), 7)
  t.equal(valueIn(families, 'mtpolicyd_answer_seconds_bucket', { le: '1.0' }), 2)
  t.match(text, '{le="6.103515625e-05"} 1\n')
})

t.test('plugins that are named alike are one series', async t => {
  const families = readOpenMetrics(renderMetrics(someStatus(), 'openmetrics'))
  t.equal(valueIn(families, 'mtpolicyd_plugin_runs_total', { module: 'SendingLimit' }), 6)
  t.equal(valueIn(families, 'mtpolicyd_plugin_failures_total'), 2)
  t.equal(valueIn(families, 'mtpolicyd_plugin_seconds_total'), 0.003)
})

t.test('a configuration of thousands of plugins does not become thousands of series', async t => {
  const plugins = Array.from({ length: 5000 }, (_, i) => ({ ...PLUGIN, plugin: `default/p${i}` }))
  const families = readOpenMetrics(renderMetrics(statusWith({ plugins }), 'openmetrics'))
  t.equal(families.get('mtpolicyd_plugin_runs')?.samples.length, 200)
})

t.test('a daemon that tells no meters has a version all the same', async t => {
  const families = readOpenMetrics(renderMetrics(statusWith({}), 'openmetrics'))
  t.equal(valueIn(families, 'mtpolicyd_build_info', { version: '0.2.0' }), 1)
})

t.test('promtool has nothing to say', { skip: promtoolMissing }, async t => {
  const text = renderMetrics(someStatus(), 'prometheus')
  t.strictSame(promtool(['check', 'metrics'], text), { status: 0, said: '' })
  const bad = text.replaceAll('cpu_seconds_total', 'cpu_seconds')
  t.not(promtool(['check', 'metrics'], bad).said, '', 'it would')
})

const PROMETHEUS_2 =
  'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'
const PROMETHEUS_3 =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1'

for (const [accept, format] of [
  [undefined, 'prometheus'],
  ['', 'prometheus'],
  ['*/*', 'prometheus'],
  ['text/html,application/xhtml+xml,*/*;q=0.8', 'prometheus'],
  ['text/plain', 'prometheus'],
  [PROMETHEUS_2, 'openmetrics'],
  [PROMETHEUS_3, 'openmetrics'],
  ['application/openmetrics-text', 'openmetrics'],
  ['Application/OpenMetrics-Text; Version=1.0.0', 'openmetrics'],
  ['application/openmetrics-text; version="1.0.0"', 'openmetrics'],
  ['application/openmetrics-text;version=0.0.1', 'prometheus'],
  ['application/openmetrics-text;version=2.0.0', 'prometheus'],
  ['application/openmetrics-text;q=0', 'prometheus'],
  ['application/openmetrics-text;q=much', 'prometheus'],
  ['application/openmetrics-text;q=0.4,text/plain;q=0.9', 'prometheus'],
  [',;,=;q=,', 'prometheus'],
] as const) {
  t.test(
    `${accept === undefined ? 'no Accept' : `Accept: ${accept}`} is answered in ${format}`,
    async t => {
      t.equal(metricsFormatOf(accept), format)
    },
  )
}
