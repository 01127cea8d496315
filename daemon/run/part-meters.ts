/** What is measured of the parts and of the configuration in force. */

import { measureAlerts } from '../alerts/meters.ts'
import { measureHistory } from '../history/meters.ts'
import { measureLedger } from '../ledger/meters.ts'
import { measureResolver } from '../lookup/resolver-meters.ts'
import type { MeterDeclaration } from '../policy/ports/meters.ts'
import type { Generation } from './generation.ts'
import type { Parts } from './parts.ts'
import { measureProcess } from './process-meters.ts'

const CONNECTIONS: MeterDeclaration = {
  name: 'connections',
  unit: 'connections',
  help: 'Policy connections that are open now.',
}
const MEASURES: MeterDeclaration = {
  name: 'measures',
  unit: 'measures',
  help: 'Measures in force for single accounts, by kind.',
}
const MEASURES_OK: MeterDeclaration = {
  name: 'measures_ok',
  unit: 'booleans',
  help: '1: measures can be read and written; 0: they cannot.',
}
const NEAR: MeterDeclaration = {
  name: 'accounts_near_limit',
  unit: 'accounts',
  help: 'Accounts that came near a limit within the last day.',
}
const MAIL_LOG: MeterDeclaration = {
  name: 'mail_log_state',
  unit: 'states',
  help: "1 for whether Postfix's log is read, to see what it refuses in the end: reading, unreadable or off.",
}
const GEOIP_AGE: MeterDeclaration = {
  name: 'geoip_age_seconds',
  unit: 'seconds',
  help: 'Age of the country data in use.',
}
const GEOIP_STATE: MeterDeclaration = {
  name: 'geoip_state',
  unit: 'states',
  help: '1 for the state of the country data: current, stale (a newer file cannot be used) or absent.',
}
const OBSERVING: MeterDeclaration = {
  name: 'observing',
  unit: 'booleans',
  help: '1: observe mode, nothing is refused; 0: mail is refused.',
}
const WARNINGS: MeterDeclaration = {
  name: 'configuration_warnings',
  unit: 'warnings',
  help: 'Warnings about the configuration in force.',
}

const KINDS = ['block', 'allow', 'limit'] as const
const MAIL_LOG_STATES = ['reading', 'unreadable', 'off'] as const
const GEOIP_STATES = ['current', 'stale', 'absent'] as const

type Measured = Omit<Parts, 'log' | 'history' | 'destination'>

export function measureParts(parts: Measured, inForce: () => Generation): void {
  const { meters, clock, slot, historySlot, dns, server, measures, nearLimits, mailLog } = parts
  const countries = () => inForce().assembly.countries
  const flag = (is: boolean): number => (is ? 1 : 0)
  measureLedger(meters, slot)
  measureHistory(meters, historySlot)
  measureAlerts(meters, () => parts.alerts.status(), clock)
  measureResolver(meters, dns)
  measureProcess(meters, parts.since)
  meters.gauge(CONNECTIONS, () => server.connections)
  for (const kind of KINDS) {
    const ofKind = (): number =>
      measures.inForce(clock.now()).filter(one => one.kind === kind).length
    meters.gauge(MEASURES, ofKind, { kind })
  }
  meters.gauge(MEASURES_OK, () => flag(measures.problem === undefined))
  meters.gauge(NEAR, () => nearLimits.list(clock.now()).length)
  for (const state of MAIL_LOG_STATES) {
    meters.gauge(MAIL_LOG, () => flag(mailLog.status().state === state), { state })
  }
  meters.gauge(GEOIP_AGE, () => {
    const { builtAt } = countries()
    return builtAt ? (clock.now() - builtAt.getTime()) / 1000 : Number.NaN
  })
  for (const state of GEOIP_STATES) {
    meters.gauge(GEOIP_STATE, () => flag(countries().state.status === state), { state })
  }
  meters.gauge(OBSERVING, () => flag(inForce().globals.mode === 'observe'))
  meters.gauge(WARNINGS, () => inForce().assembly.problems.length)
}
