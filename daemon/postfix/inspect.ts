/**
 * What Postfix queries the daemon about at this moment, for `status`: read from its files, not from
 * our record.
 *
 * The record only adds whether an item is ours to remove. Nothing is changed here.
 */

import path from 'node:path'
import type { Finding } from '../policy/finding.ts'
import {
  type Inspection,
  inspectInstance,
  noAuthentication,
  unknownInstances,
} from './findings/findings.ts'
import { recognise } from './registration/own-items.ts'
import { protectionNotes } from './registration/protection-notes.ts'
import {
  type Coverage,
  coverageOf,
  type RegistrationOptions,
  targetOf,
} from './registration/registration.ts'
import { openRecords } from './registration/registration-record.ts'
import { onUcs, postfixDirectory } from './registration/ucs.ts'
import { statusOnUcs } from './registration/ucs-status.ts'
import { endpointName, formatListener, type Listener } from './smtpd/endpoint.ts'
import { allConfigDirs } from './smtpd/instance.ts'
import type { Answer } from './smtpd/protection.ts'
import { END_OF_DATA } from './smtpd/restriction-list.ts'

export interface PostfixStatus {
  readonly configDir: string
  /** Why there is no usable Postfix; then everything below is empty. */
  readonly absent?: string
  readonly version?: string
  readonly isRunning: boolean
  /**
   * The daemon is, or would be, queried about users' mail wherever they log in, and nothing is
   * broken.
   */
  readonly ok: boolean
  readonly coverage: Coverage
  /** An item that reaches the daemon; absent: nothing queries the daemon. */
  readonly item?: string
  /** Put there by us, so `unregister` removes it. */
  readonly isRecorded: boolean
  /** Recorded, but for another endpoint than the present one: the next `register` will move it. */
  readonly staleItem?: string
  readonly services: readonly { readonly name: string; readonly answer: Answer }[]
  /** The addresses at which its smtpd processes connect to the daemon. */
  readonly asksAt: readonly Listener[]
  readonly findings: readonly Finding[]
  readonly notes: readonly string[]
}

export async function inspect(options: RegistrationOptions): Promise<PostfixStatus[]> {
  const ucs = await onUcs(options)
  if (ucs) {
    const configDir = postfixDirectory(ucs.ucr.root)
    const inspection = await inspectInstance(options.run, configDir, targetOf(options))
    return [{ ...statusOf(inspection), ...statusOnUcs(ucs, inspection) }]
  }
  const configDirs = options.configDirs ?? (await allConfigDirs(options.run))
  return Promise.all(configDirs.map(configDir => inspectOne(options, path.resolve(configDir))))
}

/** The findings of all instances; those about all instances together come last. */
export async function inspectAll(options: RegistrationOptions): Promise<{
  readonly inspections: readonly Inspection[]
  readonly findings: readonly Finding[]
}> {
  const configDirs = (await onUcs(options))
    ? [postfixDirectory(options.ucr?.root ?? '/')]
    : (options.configDirs ?? (await allConfigDirs(options.run)))
  const inspections = await Promise.all(
    configDirs.map(one => {
      const configDir = path.resolve(one)
      const record = recordOf(options.stateFile, configDir, [])
      const target = targetOf(options, record ? [record.endpoint] : [])
      return inspectInstance(options.run, configDir, target)
    }),
  )
  const findings = inspections.flatMap(one => one.findings)
  const unknown = options.configDirs ? [] : unknownInstances(configDirs)
  return { inspections, findings: [...findings, ...unknown, ...noAuthentication(inspections)] }
}

async function inspectOne(options: RegistrationOptions, configDir: string): Promise<PostfixStatus> {
  const notes: string[] = []
  const record = recordOf(options.stateFile, configDir, notes)
  const target = targetOf(options, record ? [record.endpoint] : [])
  const inspection = await inspectInstance(options.run, configDir, target)
  const status = statusOf(inspection)
  const isElsewhere =
    record !== undefined && endpointName(record.endpoint) !== endpointName(options.endpoint)
  const [edit] = record?.edits ?? []
  const staleItem = isElsewhere && edit && isStillWritten(inspection, record.endpoint)
  const isRecorded = record !== undefined && status.item !== undefined && !staleItem
  if (record && !staleItem && status.item === undefined && !status.absent) {
    notes.push('it was registered, but somebody has removed the item')
  }
  return {
    ...status,
    isRecorded,
    ...(staleItem ? { staleItem: edit.item } : {}),
    notes: [...status.notes, ...notes],
  }
}

function isStillWritten({ instance }: Inspection, endpoint: { host: string; port: number }) {
  const value = instance?.parameters.value(END_OF_DATA) ?? ''
  return recognise(value, [endpoint]).length > 0
}

function statusOf(inspection: Inspection): PostfixStatus {
  const { configDir, absent, instance, protections, findings } = inspection
  const base = {
    configDir,
    isRunning: false,
    isRecorded: false,
    services: [],
    asksAt: [],
    findings,
    notes: [],
  }
  if (absent !== undefined || !instance) {
    return { ...base, ok: false, coverage: 'none', absent: absent ?? 'no Postfix' }
  }
  const item = protections.flatMap(one => one.queries).find(({ reached }) => reached !== 'no')?.text
  const coverage = coverageOf(protections)
  const isBroken = findings.some(
    ({ severity, id }) => severity === 'error' || id === 'changed-since-reload',
  )
  return {
    ...base,
    version: instance.version,
    isRunning: instance.isRunning,
    ok: coverage === 'complete' && item !== undefined && !isBroken,
    coverage,
    ...(item === undefined ? {} : { item }),
    services: protections.map(({ service, answer }) => ({ name: service.name, answer })),
    asksAt: asksAt(inspection),
    notes: protectionNotes(inspection).notes,
  }
}

function asksAt({ protections, instance }: Inspection): Listener[] {
  const servers = protections.flatMap(({ queries }) =>
    queries.filter(({ reached }) => reached !== 'no').map(({ item }) => item.server),
  )
  const listeners = servers.map((server): Listener => {
    if (server.kind === 'inet') {
      return { kind: 'inet', address: server.host, port: Number(server.port) }
    }
    return { kind: 'unix', path: path.resolve(instance?.queueDirectory ?? '/', server.path) }
  })
  return [...new Map(listeners.map(one => [formatListener(one), one])).values()]
}

/** The record is readable by root only; without it, status still shows what Postfix says. */
function recordOf(stateFile: string, configDir: string, notes: string[]) {
  try {
    return openRecords(stateFile).find(configDir)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    notes.push(`cannot read the record of registrations: ${error.message}`)
    return undefined
  }
}
