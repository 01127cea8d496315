/** What is measured of alerts: how many hold, and what becomes of telling them. */

import type { AlertsStatus, DeliveryStatus } from '../policy/ports/alerts.ts'
import type { MeterDeclaration, Meters } from '../policy/ports/meters.ts'
import type { Clock } from '../system/clock.ts'

const IN_FORCE: MeterDeclaration = {
  name: 'alerts_in_force',
  unit: 'conditions',
  help: 'Conditions that alerts were raised for and that hold now.',
}
const OK: MeterDeclaration = {
  name: 'alerts_ok',
  unit: 'booleans',
  help: '1: alerts are kept on disk until they are delivered; 0: in memory only.',
}
const DELIVERED: MeterDeclaration = {
  name: 'alerts_delivered',
  unit: 'alerts',
  help: 'Alerts that were delivered, by each way of telling them.',
}
const LOST: MeterDeclaration = {
  name: 'alerts_lost',
  unit: 'alerts',
  help: 'Alerts whose delivery was given up: refused, a day old, or too many.',
}
const WAITING: MeterDeclaration = {
  name: 'alerts_waiting',
  unit: 'alerts',
  help: 'Alerts that are not delivered yet.',
}
const OLDEST: MeterDeclaration = {
  name: 'alerts_oldest_waiting_seconds',
  unit: 'seconds',
  help: 'How long the oldest alert has waited for its delivery.',
}

/** Ways of telling alerts. */
const DELIVERIES = ['mail', 'webhook', 'command', 'user'] as const

/** Without alerts none of them is known; nor is a way that is switched off. */
export function measureAlerts(
  meters: Meters,
  status: () => AlertsStatus,
  clock: Pick<Clock, 'now'>,
): void {
  const whenOn = (read: (status: AlertsStatus) => number) => (): number => {
    const now = status()
    return now.state === 'on' ? read(now) : Number.NaN
  }
  meters.gauge(
    IN_FORCE,
    whenOn(({ inForce }) => inForce),
  )
  meters.gauge(
    OK,
    whenOn(({ problem }) => (problem === undefined ? 1 : 0)),
  )
  for (const delivery of DELIVERIES) {
    const reader = (read: (status: DeliveryStatus) => number) =>
      whenOn(({ deliveries }) => {
        const found = deliveries.find(({ name }) => name === delivery)
        return found ? read(found) : Number.NaN
      })
    const labels = { delivery }
    meters.total(
      DELIVERED,
      reader(({ done }) => done),
      labels,
    )
    meters.total(
      LOST,
      reader(({ lost }) => lost),
      labels,
    )
    meters.gauge(
      WAITING,
      reader(({ waiting }) => waiting),
      labels,
    )
    const age = ({ oldest }: DeliveryStatus): number =>
      oldest === undefined ? 0 : Math.max(0, clock.now() - oldest) / 1000
    meters.gauge(OLDEST, reader(age), labels)
  }
}
