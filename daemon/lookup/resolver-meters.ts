/** What is measured of the resolver. */

import type { MeterDeclaration, Meters } from '../policy/ports/meters.ts'
import type { OpenResolver } from './resolver.ts'

const QUERIES: MeterDeclaration = {
  name: 'dns_queries',
  unit: 'queries',
  help: 'DNS queries sent since start.',
}
const FAILURES: MeterDeclaration = {
  name: 'dns_failures',
  unit: 'queries',
  help: 'DNS queries without a usable answer since start.',
}
const CACHED: MeterDeclaration = {
  name: 'dns_cached_answers',
  unit: 'answers',
  help: 'DNS answers in the cache.',
}
const SILENT: MeterDeclaration = {
  name: 'dns_lists_silent',
  unit: 'lists',
  help: 'DNS block lists that are skipped now because they did not answer.',
}
const REFUSING: MeterDeclaration = {
  name: 'dns_lists_refusing',
  unit: 'lists',
  help: 'DNS block lists whose last answer was not a listing.',
}

export function measureResolver(meters: Meters, dns: OpenResolver): void {
  meters.total(QUERIES, () => dns.status().questions)
  meters.total(FAILURES, () => dns.status().failures)
  meters.gauge(CACHED, () => dns.status().cached)
  meters.gauge(SILENT, () => dns.status().silent.length)
  meters.gauge(REFUSING, () => dns.status().refusing.length)
}
