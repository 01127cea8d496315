/** What is wrong on the daemon's side of the host: the configuration on disk, the clock, the disk. */

import type { DaemonStatus } from '../control/protocol.ts'
import { type Finding, same } from '../policy/finding.ts'
import type { HostFacts } from './host-facts.ts'

const LEAST_FREE_BYTES = 64 << 20
const LEAST_FREE_SHARE = 0.03
const HOUR_MILLISECONDS = 3_600_000

export function hostFindings(facts: HostFacts, running: DaemonStatus | undefined): Finding[] {
  return [
    ...variableFindings(facts, running),
    ...problemFindings(facts),
    ...clockFindings(facts),
    ...diskFindings(facts),
  ]
}

/** The running daemon may not know it yet; its next start does. */
function problemFindings({ problems }: HostFacts): Finding[] {
  const errors = problems.filter(({ severity }) => severity !== 'warning')
  const first = errors.find(({ severity }) => severity === 'fatal') ?? errors[0]
  if (!first) return []
  const { file, line } = first.place
  const isFatal = first.severity === 'fatal'
  const more = errors.length - 1
  return [
    {
      id: 'configuration-broken',
      subject: 'configuration',
      severity: isFatal ? 'error' : 'warning',
      where: `${file}:${line}`,
      service: '',
      what: same(first.message),
      why: isFatal
        ? {
            en: 'the daemon does not start with this configuration, and mail is then accepted unchecked',
            de: 'mit dieser Konfiguration startet der Dienst nicht, und Mail wird dann ungeprüft angenommen',
          }
        : {
            en: 'this part of the configuration is faulty and is skipped',
            de: 'dieser Teil der Konfiguration ist fehlerhaft und wird übersprungen',
          },
      remedy:
        more === 0
          ? {
              en: 'correct it, then: mtpolicyctl check; mtpolicyctl reload',
              de: 'korrigieren, dann: mtpolicyctl check; mtpolicyctl reload',
            }
          : {
              en: `mtpolicyctl check shows this and ${more} more; then: mtpolicyctl reload`,
              de: `mtpolicyctl check zeigt dies und ${more} weitere; dann: mtpolicyctl reload`,
            },
    },
  ]
}

function variableFindings(
  { handWritten }: HostFacts,
  running: DaemonStatus | undefined,
): Finding[] {
  const isByHand = running ? running.origin === 'hand-written' : handWritten !== undefined
  if (!isByHand) return []
  return [
    {
      id: 'variables-inactive',
      subject: 'policy',
      severity: 'warning',
      where: running?.configuration ?? handWritten ?? '',
      service: '',
      what: {
        en: 'this configuration was written by hand, so the host variables have no effect',
        de: 'diese Konfiguration wurde von Hand geschrieben, die Variablen sind daher wirkungslos',
      },
      why: {
        en: 'a limit set with mtpolicyctl set changes nothing',
        de: 'eine mit mtpolicyctl set gesetzte Grenze ändert nichts',
      },
      remedy: {
        en: 'to use them again: mtpolicyctl commit --force-template, which keeps a copy of the file',
        de: 'um sie wieder zu nutzen: mtpolicyctl commit --force-template; eine Kopie der Datei bleibt erhalten',
      },
    },
  ]
}

/** A file from the future, or a day before this program was built. */
function clockFindings({ now, latestChange }: HostFacts): Finding[] {
  if (now > latestChange - HOUR_MILLISECONDS) return []
  const latest = new Date(latestChange).toISOString().slice(0, 16)
  return [
    {
      id: 'clock-wrong',
      subject: 'clock',
      severity: 'warning',
      where: new Date(now).toISOString(),
      service: '',
      what: {
        en: `the clock is slow: the daemon has files dated ${latest}`,
        de: `die Uhr geht nach: der Dienst hat Dateien vom ${latest}`,
      },
      why: {
        en: 'the daily limit depends on the date',
        de: 'das Tageslimit hängt vom Datum ab',
      },
      remedy: same('timedatectl set-ntp true'),
    },
  ]
}

function diskFindings({ disk, stateFolder }: HostFacts): Finding[] {
  if (!disk || (disk.free > LEAST_FREE_BYTES && disk.free > disk.all * LEAST_FREE_SHARE)) return []
  const megabytes = Math.floor(disk.free / (1 << 20))
  return [
    {
      id: 'disk-nearly-full',
      subject: 'disk',
      severity: 'warning',
      where: stateFolder,
      service: '',
      what: {
        en: `only ${megabytes} MB are free on the file system with the counts`,
        de: `auf dem Dateisystem mit den Zählerständen sind nur noch ${megabytes} MB frei`,
      },
      why: {
        en: 'on a full disk, counts are kept in memory only',
        de: 'auf einer vollen Platte bleiben die Zählerstände nur im Speicher',
      },
      remedy: {
        en: `free some space on the file system of ${stateFolder}`,
        de: `auf dem Dateisystem von ${stateFolder} Platz schaffen`,
      },
    },
  ]
}
