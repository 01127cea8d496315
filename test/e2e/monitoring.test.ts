/**
 * What the package brings for Prometheus and Grafana: every rule fires when it should and only then, and
 * rules and dashboard ask for nothing that the real daemon does not tell.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse, stringify } from 'yaml'
import { askPort, installDaemon } from '../support/daemon.ts'
import { promtool, promtoolMissing } from '../support/promtool.ts'

const folder = join(import.meta.dirname, '../../debian/monitoring')
const rulesFile = join(folder, 'prometheus-rules.yml')
const rulesText = readFileSync(rulesFile, 'utf8')
const dashboardText = readFileSync(join(folder, 'grafana-dashboard.json'), 'utf8')

interface Rule {
  readonly alert: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly description: string }
}
// Checked by promtool below.
const rules: readonly Rule[] = parse(rulesText).groups.flatMap(
  (one: { rules: Rule[] }) => one.rules,
)

/** Series by name, in promtool's notation: from + step x times. */
type Series = Readonly<Record<string, string>>
interface Example {
  /** When it is looked at. */
  readonly at: string
  /** Between two values; the default is a minute. */
  readonly step?: string
  readonly firing: Series
  readonly quiet: Series
}

const bucket = (name: string, le: string): string =>
  `mtpolicyd_${name}_bucket{instance="a",le="${le}"}`
const of = (name: string, more = ''): string => `mtpolicyd_${name}{instance="a"${more}}`
const refusals = of('verdicts_total', ',plugin="limit",action="refuse"')

const EXAMPLES: Readonly<Record<string, Example>> = {
  MtpolicydDown: {
    at: '10m',
    firing: { 'up{job="mtpolicyd",instance="a"}': '0x10' },
    quiet: { 'up{job="mtpolicyd",instance="a"}': '1x10', 'up{job="other"}': '0x10' },
  },
  MtpolicydMetricsOld: {
    at: '30m',
    firing: { 'node_textfile_mtime_seconds{file="/a/mtpolicyd.prom"}': '60x30' },
    quiet: {
      'node_textfile_mtime_seconds{file="/a/mtpolicyd.prom"}': '0+60x30',
      'node_textfile_mtime_seconds{file="/a/other.prom"}': '0x30',
    },
  },
  MtpolicydRestarts: {
    at: '15m',
    firing: { [of('process_start_time_seconds')]: '0+100x15' },
    quiet: { [of('process_start_time_seconds')]: '5x5 99x9' },
  },
  MtpolicydNotAsked: {
    at: '3d',
    step: '30m',
    firing: { [of('requests_total')]: '0+30x96 2880x48' },
    // A host that hardly has any mail.
    quiet: { [of('requests_total')]: '0+0.3x96 28.8x48' },
  },
  MtpolicydCountsNotDurable: {
    at: '10m',
    firing: { [of('ledger_durable')]: '0x10' },
    quiet: { [of('ledger_durable')]: '1x8 0x2' },
  },
  MtpolicydCountsInACopy: {
    at: '20m',
    firing: { [of('ledger_state', ',state="copy"')]: '1x20' },
    quiet: {
      [of('ledger_state', ',state="copy"')]: '0x20',
      [of('ledger_state', ',state="file"')]: '1x20',
    },
  },
  MtpolicydRequestsFail: {
    at: '20m',
    firing: { [of('requests_failed_total')]: '0+1x20', [of('requests_timed_out_total')]: '0x20' },
    quiet: { [of('requests_failed_total')]: '3x20', [of('requests_timed_out_total')]: '9x20' },
  },
  MtpolicydPluginFails: {
    at: '40m',
    firing: { [of('plugin_failures_total')]: '0+1x40', [of('plugin_runs_total')]: '0+10x40' },
    quiet: { [of('plugin_failures_total')]: '0+1x40', [of('plugin_runs_total')]: '0+100x40' },
  },
  MtpolicydSlow: {
    at: '40m',
    firing: {
      [bucket('answer_seconds', '1')]: '0+90x40',
      [bucket('answer_seconds', '2')]: '0+100x40',
      [bucket('answer_seconds', '+Inf')]: '0+100x40',
    },
    quiet: {
      [bucket('answer_seconds', '1')]: '0+100x40',
      [bucket('answer_seconds', '2')]: '0+100x40',
      [bucket('answer_seconds', '+Inf')]: '0+100x40',
    },
  },
  MtpolicydEventLoopBlocked: {
    at: '40m',
    firing: {
      [bucket('event_loop_delay_seconds', '0.25')]: '0+50x40',
      [bucket('event_loop_delay_seconds', '1')]: '0+60x40',
      [bucket('event_loop_delay_seconds', '+Inf')]: '0+60x40',
    },
    quiet: {
      [bucket('event_loop_delay_seconds', '0.25')]: '0+60x40',
      [bucket('event_loop_delay_seconds', '1')]: '0+60x40',
      [bucket('event_loop_delay_seconds', '+Inf')]: '0+60x40',
    },
  },
  MtpolicydManyRefused: {
    at: '26h',
    step: '30m',
    firing: { [refusals]: '0+3x48 144+300x4' },
    // Much, but as much as yesterday.
    quiet: { [refusals]: '0+300x52' },
  },
  MtpolicydGeoipOld: {
    at: '2h',
    firing: { [of('geoip_age_seconds')]: '31600000x120' },
    quiet: { [of('geoip_age_seconds')]: '30000000x120' },
  },
  MtpolicydGeoipUnusable: {
    at: '1h',
    firing: { [of('geoip_state', ',state="stale"')]: '1x60' },
    // No plugin needs any.
    quiet: {
      [of('geoip_state', ',state="absent"')]: '1x60',
      [of('geoip_state', ',state="stale"')]: '0x60',
    },
  },
  MtpolicydHistoryLost: {
    at: '20m',
    firing: { [of('history_records_lost_total')]: '0+1x20', [of('history_ok')]: '1x20' },
    quiet: { [of('history_records_lost_total')]: '7x20', [of('history_ok')]: '1x20' },
  },
  MtpolicydMailLogUnreadable: {
    at: '2h',
    firing: { [of('mail_log_state', ',state="unreadable"')]: '1x120' },
    quiet: { [of('mail_log_state', ',state="off"')]: '1x120' },
  },
  MtpolicydMeasuresLost: {
    at: '10m',
    firing: { [of('measures_ok')]: '0x10' },
    quiet: { [of('measures_ok')]: '1x10' },
  },
  MtpolicydAlertsNotDelivered: {
    at: '10m',
    firing: {
      [of('alerts_oldest_waiting_seconds', ',delivery="webhook"')]: '2000+60x10',
      [of('alerts_lost_total', ',delivery="webhook"')]: '0x10',
    },
    quiet: {
      [of('alerts_oldest_waiting_seconds', ',delivery="webhook"')]: '0+60x10',
      [of('alerts_lost_total', ',delivery="webhook"')]: '3x10',
    },
  },
  MtpolicydReloadRefused: {
    at: '20m',
    firing: { [of('reloads_total', ',result="refused"')]: '0x5 1x15' },
    quiet: { [of('reloads_total', ',result="ok"')]: '0x5 1x15' },
  },
  MtpolicydObserves: {
    at: '15d',
    step: '30m',
    firing: { [of('observing')]: '1x720' },
    quiet: { [of('observing')]: '0x400 1x320' },
  },
  MtpolicydBlockListsSilent: {
    at: '2h',
    firing: { [of('dns_lists_silent')]: '0x120', [of('dns_lists_refusing')]: '1x120' },
    quiet: { [of('dns_lists_silent')]: '0x120', [of('dns_lists_refusing')]: '0x120' },
  },
  MtpolicydFileDescriptors: {
    at: '10m',
    firing: { [of('process_open_fds')]: '900x10', [of('process_max_fds')]: '1024x10' },
    quiet: { [of('process_open_fds')]: '40x10', [of('process_max_fds')]: '1024x10' },
  },
}

function scratch(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'monitoring-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

t.test('promtool finds nothing wrong with the rules', { skip: promtoolMissing }, async t => {
  const { status, said } = promtool(['check', 'rules', rulesFile])
  t.equal(status, 0)
  t.match(said, new RegExp(`^Checking .*\\n +SUCCESS: ${rules.length} rules found\\n\\n?$`))
})

t.test(
  'each rule fires when it should, and is quiet when it should',
  { skip: promtoolMissing },
  async t => {
    t.strictSame(Object.keys(EXAMPLES).toSorted(), rules.map(({ alert }) => alert).toSorted())
    const path = join(scratch(t), 'test.yml')
    const steps = Map.groupBy(Object.entries(EXAMPLES), ([, { step = '1m' }]) => step)
    for (const [step, examples] of steps) {
      const tests = examples.flatMap(([alert, { at, firing, quiet }]) =>
        [firing, quiet].map((series, i) => ({
          interval: step,
          input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
          promql_expr_test: [
            {
              expr: `count(ALERTS{alertname="${alert}",alertstate="firing"})`,
              eval_time: at,
              exp_samples: i === 0 ? [{ labels: '{}', value: 1 }] : [],
            },
          ],
        })),
      )
      writeFileSync(path, stringify({ rule_files: [rulesFile], evaluation_interval: step, tests }))
      const { status, said } = promtool(['test', 'rules', path])
      t.equal(status, 0, said)
    }
  },
)

t.test('what a rule says is a sentence, and names a host', async t => {
  for (const { alert, labels, annotations } of rules) {
    t.match(alert, /^Mtpolicyd[A-Z]\w+$/)
    t.match(labels.severity, /^(?:critical|warning)$/)
    t.match(annotations.summary, '{{ $labels.instance }}', alert)
    t.notMatch(annotations.summary, /\n|\.$/, alert)
    t.match(annotations.description, /^\S.*\S$/, alert)
  }
})

interface Panel {
  readonly title: string
  readonly type: string
  readonly description: string
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>
  readonly targets?: readonly { readonly expr: string }[]
}
const { panels } = JSON.parse(dashboardText) as { panels: readonly Panel[] } // checked below

t.test('rules and dashboard name only metrics that the daemon has', async t => {
  // Alerts have metrics if there are any.
  const daemon = await installDaemon({ 'mtpolicyd/alert/command': '/bin/true' })
  t.teardown(() => daemon.remove())
  await daemon.start()
  const mail = { request: 'smtpd_access_policy', protocol_state: 'RCPT', sasl_username: 'alice' }
  t.match(await askPort(daemon.port, mail), /^action=/)
  const { stdout } = await daemon.ctl('metrics')
  const known = new Set(stdout.match(/^mtpolicyd_\w+/gm))
  const asked = `${rulesText}${dashboardText}`.match(/\bmtpolicyd_\w+/g) ?? []
  t.ok(asked.length > 60)
  for (const name of new Set(asked)) t.ok(known.has(name), name)
})

t.test('Prometheus understands each query of the dashboard', { skip: promtoolMissing }, async t => {
  const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
  t.ok(queries.length > 30)
  const records = queries.map((expr, i) => ({
    record: `dashboard:query${i}`,
    expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*'),
  }))
  const path = join(scratch(t), 'queries.yml')
  writeFileSync(path, stringify({ groups: [{ name: 'dashboard', rules: records }] }))
  const { status, said } = promtool(['check', 'rules', path])
  t.equal(status, 0, said)
})

t.test('the dashboard’s panels have a title and do not cover each other', async t => {
  for (const [i, { title, type, gridPos: one }] of panels.entries()) {
    t.ok(title)
    t.ok(one.x + one.w <= 24, title)
    for (const { title: other, gridPos } of panels.slice(i + 1)) {
      const apart =
        one.x + one.w <= gridPos.x ||
        gridPos.x + gridPos.w <= one.x ||
        one.y + one.h <= gridPos.y ||
        gridPos.y + gridPos.h <= one.y
      t.ok(apart, `${title} and ${other}`)
    }
    if (type !== 'row') t.ok(panels[i]?.targets?.length, `${title} shows something`)
  }
})
