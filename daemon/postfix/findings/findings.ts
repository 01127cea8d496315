/**
 * What is wrong with the way Postfix queries the daemon, over all instances: one finding per cause.
 * Reads only, changes nothing.
 */

import fs from 'node:fs'
import { type Finding, sortFindings } from '../../policy/finding.ts'
import type { Run } from '../../system/external-program.ts'
import { isAbsent, type PostfixInstance, readInstance } from '../smtpd/instance.ts'
import { lookUp } from '../smtpd/network.ts'
import type { PolicyItem } from '../smtpd/policy-item.ts'
import { runningConfigDirs } from '../smtpd/processes.ts'
import { type Protection, protectionsOf } from '../smtpd/protection.ts'
import { reachOf, type Target } from '../smtpd/reach.ts'
import { itemFindings } from './item-findings.ts'
import { returnPathFindings } from './return-path-findings.ts'
import { serviceFindings } from './service-findings.ts'
import { setupFindings } from './setup-findings.ts'

export interface Inspection {
  readonly configDir: string
  /** Why there is no usable Postfix; then all other fields are empty. */
  readonly absent?: string
  readonly instance?: PostfixInstance
  readonly protections: readonly Protection[]
  readonly findings: readonly Finding[]
}

export async function inspectInstance(
  run: Run,
  configDir: string,
  target: Target,
): Promise<Inspection> {
  const instance = await readInstance(run, configDir)
  if (isAbsent(instance)) {
    return { configDir, absent: instance.reason, protections: [], findings: [] }
  }
  const network = await lookUp(instance)
  const protections = protectionsOf(instance, target, network)
  // An item is ours if it is so for any of the instance's services.
  const isOurs = (item: PolicyItem) =>
    instance.services.some(
      service => reachOf(item, target, { instance, service, network }).kind !== 'other',
    )
  const ofServices = protections.flatMap(protection => {
    const found = serviceFindings(protection, target, network)
    // Where smtpd does not start, the other findings do not matter.
    const isBroken = found.some(({ id }) => id === 'broken-item')
    return isBroken ? found : [...found, ...itemFindings(protection)]
  })
  const broken = ofServices.filter(({ id }) => id === 'broken-item').map(({ service }) => service)
  const sound = protections.filter(({ service }) => !broken.includes(service.name))
  const ofSetup = [
    ...setupFindings(instance, sound, isOurs),
    ...returnPathFindings(instance, sound, isOurs),
    ...notReloaded(instance),
  ]
  const findings = sortFindings(withoutConsequences([...ofServices, ...ofSetup]))
  return { configDir, instance, protections, findings }
}

/** Leaves out "not asked" where the cause is known and reported. */
function withoutConsequences(findings: readonly Finding[]): Finding[] {
  const isCause = ({ id }: Finding) =>
    id === 'duplicate-parameter' || id === 'unused-restriction-class'
  const explained = new Set(
    findings.filter(isCause).flatMap(({ service }) => service.split(', ').filter(Boolean)),
  )
  const names = (service: string) => service.split(', ')
  return findings.filter(
    ({ id, service }) => id !== 'not-asked' || !names(service).every(name => explained.has(name)),
  )
}

/** A running Postfix may behave differently from what its files say. */
function notReloaded({ changedSinceReload, configDir }: PostfixInstance): Finding[] {
  return changedSinceReload.map(file => ({
    id: 'changed-since-reload',
    subject: 'Postfix',
    severity: 'warning',
    where: file,
    service: '',
    what: {
      en: `${file} has changed since Postfix last read its configuration`,
      de: `${file} wurde geändert, seit Postfix seine Konfiguration zuletzt gelesen hat`,
    },
    why: {
      en: "smtpd's current behaviour may differ from what the file says",
      de: 'smtpd verhält sich möglicherweise anders, als es in der Datei steht',
    },
    remedy: {
      en: `postfix -c ${configDir} reload`,
      de: `postfix -c ${configDir} reload`,
    },
  }))
}

/**
 * Running instances that postmulti does not know; they can only be inspected by naming their
 * directory.
 */
export function unknownInstances(known: readonly string[]): Finding[] {
  const all = new Set(known.map(real))
  const others = new Set(runningConfigDirs().map(real))
  return [...others]
    .filter(directory => !all.has(directory))
    .map(directory => ({
      id: 'unknown-instance',
      subject: 'Postfix',
      severity: 'warning',
      where: directory,
      service: '',
      what: {
        en: `a Postfix is running with the configuration in ${directory}, which postmulti does not know`,
        de: `ein Postfix läuft mit der Konfiguration in ${directory}, die postmulti nicht kennt`,
      },
      why: {
        en: 'it was not checked: mail may pass there unchecked',
        de: 'diese Instanz wurde nicht untersucht: dort kann Mail ungeprüft durchgehen',
      },
      remedy: {
        en: `mtpolicyctl doctor --config-dir ${directory}`,
        de: `mtpolicyctl doctor --config-dir ${directory}`,
      },
    }))
}

function real(directory: string): string {
  try {
    return fs.realpathSync(directory)
  } catch {
    return directory
  }
}

/** Nobody can log in anywhere, so there is nothing for this package to protect. */
export function noAuthentication(inspections: readonly Inspection[]): Finding[] {
  const all = inspections.flatMap(({ protections }) => protections)
  const known = inspections.flatMap(({ findings }) => findings)
  const [first] = inspections
  const isKnown = known.some(({ id }) => id === 'no-authentication' || id === 'broken-item')
  if (!first?.instance || isKnown || all.some(({ answer }) => answer !== 'no logins')) return []
  return [
    {
      id: 'no-authentication',
      subject: 'Postfix',
      severity: 'warning',
      where: first.instance.mainCf.file,
      service: '',
      what: {
        en: 'nobody can log in at any smtpd service (smtpd_sasl_auth_enable)',
        de: 'an keinem smtpd-Dienst kann sich jemand anmelden (smtpd_sasl_auth_enable)',
      },
      why: {
        en: 'only mail of users who log in is counted and limited',
        de: 'nur Mail angemeldeter Benutzer wird gezählt und begrenzt',
      },
      remedy: {
        en: 'enable submission in master.cf with -o smtpd_sasl_auth_enable=yes',
        de: 'submission in master.cf aktivieren, mit -o smtpd_sasl_auth_enable=yes',
      },
    },
  ]
}
