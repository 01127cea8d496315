/**
 * What Postfix would ask the daemon at this moment, for `status` and for people: read, not remembered.
 *
 * The record only adds whether the item is ours to take back. Nothing is changed here.
 */

import path from 'node:path'
import {
  otherConfigDirs,
  type PostfixInstance,
  primaryConfigDir,
  readInstance,
  type SmtpdService,
} from './instance.ts'
import { type RegistrationOptions, serviceNotes, type UcsOptions } from './registration.ts'
import { openRecords } from './registration-record.ts'
import { END_OF_DATA, type Endpoint, recognise } from './restriction-list.ts'
import { onUcs, postfixDirectory } from './ucs.ts'
import { statusOnUcs } from './ucs-status.ts'

export interface PostfixStatus {
  readonly configDir: string
  /** Why there is no Postfix to speak of; then everything below is empty. */
  readonly absent?: string
  readonly version?: string
  readonly isRunning: boolean
  readonly parameter: string
  /** The item as it stands in the end-of-data list; absent: Postfix does not ask there. */
  readonly item?: string
  /** Put there by us, so `unregister` takes it back. */
  readonly isRecorded: boolean
  /** Recorded, but for another endpoint than the present one: `register` follows. */
  readonly staleItem?: string
  readonly services: readonly (SmtpdService & { readonly asks: boolean })[]
  readonly notes: readonly string[]
}

export async function inspect(options: RegistrationOptions): Promise<PostfixStatus[]> {
  const ucs = await onUcs(options)
  if (ucs) return [await inspectUcs(ucs)]
  const primary = await primaryConfigDir(options.run)
  const configDirs = (options.configDirs ?? [primary]).map(dir => path.resolve(dir))
  const all = await Promise.all(configDirs.map(configDir => inspectOne(options, configDir)))
  if (options.configDirs) return all

  const others = await otherConfigDirs(options.run, primary)
  const hint = others.map(dir => `another instance, not looked at: --config-dir ${dir}`)
  return all.map(status => ({ ...status, notes: [...status.notes, ...hint] }))
}

/** On UCS the services have lists of their own, from variables; main.cf has none. */
async function inspectUcs(options: UcsOptions): Promise<PostfixStatus> {
  const { run, endpoint } = options
  const configDir = postfixDirectory(options.ucr.root)
  const base = { configDir, parameter: END_OF_DATA, isRunning: false, isRecorded: false }
  const instance = await readInstance(run, configDir)
  if ('absent' in instance) return { ...base, absent: instance.reason, services: [], notes: [] }
  return {
    ...base,
    version: instance.version,
    isRunning: instance.isRunning,
    ...statusOnUcs(options, instance),
    services: withAnswers(instance, endpoint),
  }
}

function withAnswers({ services, endOfData }: PostfixInstance, endpoint: Endpoint) {
  return services.map(service => ({
    ...service,
    asks: recognise(service.override ?? endOfData, [endpoint]).length > 0,
  }))
}

async function inspectOne(
  { run, endpoint, stateFile }: RegistrationOptions,
  configDir: string,
): Promise<PostfixStatus> {
  const base = { configDir, parameter: END_OF_DATA, isRunning: false, isRecorded: false }
  const instance = await readInstance(run, configDir)
  if ('absent' in instance) return { ...base, absent: instance.reason, services: [], notes: [] }

  const item = recognise(instance.endOfData, [endpoint])[0]
  const notes = serviceNotes(instance, endpoint)
  const record = recordOf(stateFile, configDir, notes)
  const isStale =
    record !== undefined &&
    recognise(record.item, [endpoint]).length === 0 &&
    recognise(instance.endOfData, [record.endpoint]).length > 0
  return {
    ...base,
    version: instance.version,
    isRunning: instance.isRunning,
    ...(item === undefined ? {} : { item }),
    isRecorded: record !== undefined && item !== undefined && !isStale,
    ...(isStale ? { staleItem: record.item } : {}),
    services: withAnswers(instance, endpoint),
    notes,
  }
}

/** The record is root's; whoever may not read it still sees what Postfix says. */
function recordOf(stateFile: string, configDir: string, notes: string[]) {
  try {
    return openRecords(stateFile).find(configDir)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    notes.push(`the record of registrations cannot be read: ${error.message}`)
    return undefined
  }
}
