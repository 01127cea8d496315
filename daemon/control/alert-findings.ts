/** What is wrong with the alerts, and what only they notice: Postfix asks no more, a restart loop. */

import type { Finding } from '../policy/finding.ts'
import type { AlertsStatus, DeliveryStatus } from '../policy/ports/alerts.ts'
import type { DaemonStatus } from './protocol.ts'

/** Crashes within a quarter of an hour. */
const LOOP_OF = 3
/** An alert that waits that long for a delivery whose last attempt has failed. */
const LATE_MILLISECONDS = 60_000

export function alertFindings({ alerts, since }: DaemonStatus): Finding[] {
  if (!alerts || alerts.state === 'off') return []
  return [
    ...alerts.deliveries.flatMap(one => ofDelivery(one)),
    ...ofFile(alerts),
    ...ofSilence(alerts),
    ...ofCrashes(alerts, since),
  ]
}

function ofDelivery({ name, waiting, oldest, problem, lost }: DeliveryStatus): Finding[] {
  const common = { subject: 'alerts', service: '', where: `alert_${name}` } as const
  const found: Finding[] = []
  const isLate = oldest === undefined || Date.now() - oldest >= LATE_MILLISECONDS
  if (problem !== undefined && isLate) {
    const wait = waiting === 1 ? '; one alert waits' : waiting > 1 ? `; ${waiting} alerts wait` : ''
    const wartet =
      waiting === 1 ? '; eine Meldung wartet' : waiting > 1 ? `; ${waiting} Meldungen warten` : ''
    found.push({
      ...common,
      id: 'alerts-failing',
      severity: 'warning',
      what: {
        en: `alerts by ${name} do not arrive (${problem})${wait}`,
        de: `Benachrichtigungen über ${name} kommen nicht an (${problem})${wartet}`,
      },
      why: {
        en: 'nobody learns in time that an account sends spam; what waits is tried for a day',
        de: 'niemand erfährt rechtzeitig, dass ein Konto Spam sendet; was wartet, wird einen Tag lang versucht',
      },
      remedy: {
        en: 'repair it, then: mtpolicyctl alert test',
        de: 'das beheben, danach: mtpolicyctl alert test',
      },
    })
  }
  if (lost > 0) {
    found.push({
      ...common,
      id: 'alerts-lost',
      severity: 'note',
      what: {
        en: `alerts given up by ${name} since the daemon has started: ${lost}`,
        de: `seit dem Start des Dienstes aufgegebene Benachrichtigungen über ${name}: ${lost}`,
      },
      why: {
        en: 'they were refused, or could not be delivered within a day',
        de: 'sie wurden abgelehnt oder ließen sich einen Tag lang nicht zustellen',
      },
      remedy: {
        en: 'what they were: mtpolicyctl alert list',
        de: 'welche: mtpolicyctl alert list',
      },
    })
  }
  return found
}

function ofFile({ problem }: AlertsStatus): Finding[] {
  if (problem === undefined) return []
  return [
    {
      id: 'alerts-not-durable',
      subject: 'alerts',
      severity: 'warning',
      where: 'alerts.log',
      service: '',
      what: {
        en: `alerts are kept in memory only (${problem})`,
        de: `Benachrichtigungen liegen nur im Arbeitsspeicher (${problem})`,
      },
      why: {
        en: 'a restart loses those that wait, and tells others twice',
        de: 'ein Neustart verliert wartende und meldet andere ein zweites Mal',
      },
      remedy: {
        en: 'make room on the disk, or make that file writable for the user univention-mtpolicyd',
        de: 'Platz auf der Platte schaffen oder die Datei für den Benutzer univention-mtpolicyd beschreibbar machen',
      },
    },
  ]
}

function ofSilence({ silentSince }: AlertsStatus): Finding[] {
  if (silentSince === undefined) return []
  const time = `${new Date(silentSince).toISOString().slice(0, 16).replace('T', ' ')} UTC`
  return [
    {
      id: 'postfix-silent',
      subject: 'requests',
      severity: 'warning',
      where: 'requests',
      service: '',
      what: {
        en: `Postfix has not sent a request since ${time}, which is unusually long`,
        de: `seit ${time} kam keine Anfrage von Postfix, das ist ungewöhnlich lange`,
      },
      why: {
        en: 'either nobody sends mail, or mail passes unchecked',
        de: 'entweder sendet niemand Mail, oder sie kommt ungeprüft durch',
      },
      remedy: { en: 'mtpolicyctl doctor', de: 'mtpolicyctl doctor' },
    },
  ]
}

function ofCrashes({ crashes }: AlertsStatus, since: string): Finding[] {
  if (crashes < LOOP_OF) return []
  return [
    {
      id: 'restart-loop',
      subject: 'daemon',
      severity: 'error',
      where: 'univention-mtpolicyd.service',
      service: '',
      what: {
        en: `the daemon has crashed ${crashes} times within 15 minutes, last before ${since.slice(0, 16).replace('T', ' ')} UTC`,
        de: `der Dienst ist in 15 Minuten ${crashes}-mal abgestürzt, zuletzt vor ${since.slice(0, 16).replace('T', ' ')} UTC`,
      },
      why: {
        en: 'while it does not run, mail passes unchecked',
        de: 'solange er nicht läuft, kommt Mail ungeprüft durch',
      },
      remedy: {
        en: 'for the reason: journalctl -u univention-mtpolicyd',
        de: 'den Grund nennt journalctl -u univention-mtpolicyd',
      },
    },
  ]
}
