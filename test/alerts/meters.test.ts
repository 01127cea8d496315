/** Metrics of alerts: what holds, and what becomes of telling it. */

import t from 'tap'
import { measureAlerts } from '../../daemon/alerts/meters.ts'
import type { AlertsStatus } from '../../daemon/policy/ports/alerts.ts'
import { openMeters } from '../../daemon/run/meters.ts'

const NOW = Date.UTC(2026, 10, 20, 12)

const OFF: AlertsStatus = {
  state: 'off',
  deliveries: [],
  inForce: 0,
  problem: undefined,
  silentSince: undefined,
  crashes: 0,
}
const DELIVERY = { waiting: 0, oldest: undefined, done: 0, lost: 0, problem: undefined }

function metered(status: AlertsStatus): string[] {
  const meters = openMeters()
  measureAlerts(meters, () => status, { now: () => NOW })
  return meters
    .read()
    .map(({ name, labels, value }) => `${name} ${Object.values(labels).join()} ${value}`)
}

t.test('where nobody is told anything there are none', async t => {
  t.strictSame(metered(OFF), [])
})

t.test('each way of telling alerts that is switched on has its own', async t => {
  const status: AlertsStatus = {
    ...OFF,
    state: 'on',
    inForce: 3,
    problem: 'no space left on device',
    deliveries: [
      { ...DELIVERY, name: 'mail', done: 7 },
      { ...DELIVERY, name: 'webhook', waiting: 2, oldest: NOW - 90_000, lost: 1 },
    ],
  }
  t.strictSame(metered(status), [
    'alerts_in_force  3',
    'alerts_ok  0',
    'alerts_delivered mail 7',
    'alerts_delivered webhook 0',
    'alerts_lost mail 0',
    'alerts_lost webhook 1',
    'alerts_waiting mail 0',
    'alerts_waiting webhook 2',
    'alerts_oldest_waiting_seconds mail 0',
    'alerts_oldest_waiting_seconds webhook 90',
  ])
})
