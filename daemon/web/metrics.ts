/**
 * The daemon's meters as Prometheus reads them: text format 0.0.4, or OpenMetrics 1.0.0. A pure function of
 * the status, for /metrics and for `mtpolicyctl metrics`.
 */

import type { DaemonStatus } from '../control/protocol.ts'
import { type Family, familiesOf, type Sample } from './metrics-families.ts'

export type MetricsFormat = 'prometheus' | 'openmetrics'

/** Values of Content-Type. */
export const METRICS_TYPES: Readonly<Record<MetricsFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

export function renderMetrics(status: DaemonStatus, format: MetricsFormat): string {
  const isOpen = format === 'openmetrics'
  const families = familiesOf(status).map(family => familyText(family, isOpen))
  return `${families.join('')}${isOpen ? '# EOF\n' : ''}`
}

function familyText({ name, kind, unit, help, samples }: Family, isOpen: boolean): string {
  // OpenMetrics describes the family, whose samples have an ending; the older format describes the samples.
  const suffix = kind === 'counter' ? '_total' : kind === 'info' ? '_info' : ''
  const described = isOpen ? name : `${name}${suffix}`
  const type = kind === 'info' && !isOpen ? 'gauge' : kind
  const lines = [
    `# HELP ${described} ${helpText(help, isOpen)}`,
    `# TYPE ${described} ${type}`,
    ...(isOpen && unit !== '' ? [`# UNIT ${described} ${unit}`] : []),
    ...samples.flatMap(sample => sampleLines(`${name}${suffix}`, sample, isOpen)),
  ]
  return lines.map(line => `${line}\n`).join('')
}

function sampleLines(name: string, { labels, value, distribution }: Sample, isOpen: boolean) {
  if (!distribution) return [`${name}${labelText(labels)} ${numberText(value)}`]
  const { buckets, sum } = distribution
  const bounds = buckets.map(([atMost, values]) => [boundText(atMost, isOpen), values] as const)
  return [
    ...[...bounds, ['+Inf', value] as const].map(
      ([le, values]) => `${name}_bucket${labelText({ ...labels, le })} ${numberText(values)}`,
    ),
    `${name}_sum${labelText(labels)} ${numberText(sum)}`,
    `${name}_count${labelText(labels)} ${numberText(value)}`,
  ]
}

function labelText(labels: Sample['labels']): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

/** Label values are the same in both formats; the help of OpenMetrics is escaped like them. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
}

function helpText(help: string, isOpen: boolean): string {
  return isOpen ? escaped(help) : help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

/** JavaScript's shortest text of a number is one of both formats, exponents included. */
const numberText = (value: number): string => String(value)

/** As Go writes it, which OpenMetrics calls the canonical number: `0.25`, `6.103515625e-05`, `1.0`. */
function boundText(bound: number, isOpen: boolean): string {
  if (bound < 1e-4) {
    return bound.toExponential().replace(/e([+-])(\d)$/, 'e$10$2')
  }
  return isOpen && Number.isInteger(bound) ? `${bound}.0` : String(bound)
}

/**
 * By the header Accept of HTTP (RFC 9110, 12.5.1): OpenMetrics if it is asked for, and not less than plain
 * text; whatever else is in it, Prometheus' own format is never wrong.
 */
export function metricsFormatOf(accept: string | undefined): MetricsFormat {
  let [open, plain] = [0, 0]
  for (const range of (accept ?? '').split(',')) {
    const [type = '', ...parameters] = range.split(';').map(part => part.trim().toLowerCase())
    const quality = qualityOf(parameters)
    if (type === 'text/plain') plain = Math.max(plain, quality)
    if (type !== 'application/openmetrics-text') continue
    const version = parameters.find(one => one.startsWith('version='))
    if (version === undefined || /^version="?1\.0\.0"?$/.test(version))
      open = Math.max(open, quality)
  }
  return open > 0 && open >= plain ? 'openmetrics' : 'prometheus'
}

/** 0 to 1; 0 if it cannot be read. */
function qualityOf(parameters: readonly string[]): number {
  const text = parameters.find(one => one.startsWith('q='))?.slice(2) ?? '1'
  return /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text) ? Number(text) : 0
}
