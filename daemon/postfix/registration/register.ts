/**
 * Registers the daemon with Postfix and undoes it exactly: on UCS through variables (`ucs.ts`), on
 * plain Debian as described here. The host decides which of the two applies.
 *
 * Every service where users log in gets one item, first in the end-of-data list that is in effect
 * for that service: in main.cf, or in the service's own list in master.cf (`registration-plan.ts`).
 * There it sees every message once. The files are edited as text, checked by Postfix itself and by
 * our own reading of them, and restored if either reports a new problem. Registering twice has the
 * same result as registering once; another endpoint moves the items. What somebody else has to do
 * is reported together with the line to add.
 *
 * `unregister` restores the files byte for byte if nobody has edited them, otherwise it removes
 * only our text. Postfix is reloaded if it is running, but never started.
 */

import fs from 'node:fs'
import path from 'node:path'
import { type Inspection, inspectInstance } from '../findings/findings.ts'
import { type Endpoint, listenersOf, restrictionItem, serverFor } from '../smtpd/endpoint.ts'
import { allConfigDirs, isAbsent, type PostfixInstance, readInstance } from '../smtpd/instance.ts'
import { formatServer } from '../smtpd/policy-item.ts'
import type { Protection } from '../smtpd/protection.ts'
import { changeFiles, realFile } from './config-files.ts'
import { hasItem } from './items.ts'
import { protectionNotes } from './protection-notes.ts'
import {
  answer,
  coverageOf,
  inTurn,
  mentions,
  type RegistrationOptions,
  type RegistrationResult,
  reloadIfRunning,
  stillAsks,
  targetOf,
} from './registration.ts'
import { planRegistration, type RegistrationPlan } from './registration-plan.ts'
import {
  type Change,
  type Edit,
  openRecords,
  type RecordFile,
  type RegistrationRecord,
} from './registration-record.ts'
import {
  followOnUcs,
  hasUcsRecord,
  onUcs,
  postfixDirectory,
  registerOnUcs,
  unregisterOnUcs,
} from './ucs.ts'
import { withoutItem, withoutOurs } from './undo.ts'

export type { RegistrationOptions, RegistrationResult } from './registration.ts'

export async function register(options: RegistrationOptions): Promise<RegistrationResult[]> {
  const ucs = await onUcs(options)
  if (ucs) return inTurn([postfixDirectory(ucs.ucr.root)], () => registerOnUcs(ucs))
  const configDirs = options.configDirs ?? (await allConfigDirs(options.run))
  const results = await alone(options, () =>
    inTurn(configDirs, configDir => registerOne(options, path.resolve(configDir))),
  )
  // If another instance receives mail, an instance without smtpd is not an error.
  const isTaken = results.some(({ services }) => services !== undefined)
  return results.map(result =>
    isTaken && result.reasons[0] === NO_SMTPD
      ? answer(result.configDir, 'already', [], [NO_SMTPD])
      : result,
  )
}

const NO_SMTPD = 'this Postfix has no smtpd service, so there is nothing to register'

export async function unregister(options: RegistrationOptions): Promise<RegistrationResult[]> {
  const ucs = await onUcs(options)
  const { ucr } = options
  if (ucr && (ucs || hasUcsRecord(options))) {
    return inTurn([postfixDirectory(ucr.root)], () => unregisterOnUcs({ ...options, ucr }))
  }
  const configDirs = options.configDirs ?? (await allConfigDirs(options.run))
  const all = new Set(configDirs.map(configDir => path.resolve(configDir)))
  if (!options.configDirs) {
    for (const { configDir } of openOrDoubt(options.stateFile).records?.all() ?? []) {
      all.add(configDir)
    }
  }
  return alone(options, () => inTurn([...all], configDir => unregisterOne(options, configDir)))
}

/**
 * Called after the daemon's endpoint has changed, or an entry of the recipient list on UCS: items
 * move to the new endpoint and keep their options, also those that an administrator wrote. Missing
 * items are not added.
 */
export async function follow(
  options: RegistrationOptions,
  justSet: readonly string[] = [],
): Promise<RegistrationResult[]> {
  const ucs = await onUcs(options)
  if (ucs) return inTurn([postfixDirectory(ucs.ucr.root)], () => followOnUcs(ucs, justSet))
  const recorded = openOrDoubt(options.stateFile).records?.all() ?? []
  const configDirs = options.configDirs ?? (await allConfigDirs(options.run))
  const all = new Set([...configDirs, ...recorded.map(({ configDir }) => configDir)])
  return alone(options, () =>
    inTurn(
      [...all].map(configDir => path.resolve(configDir)),
      configDir => followOne(options, configDir),
    ),
  )
}

function alone<T>({ locked }: RegistrationOptions, work: () => Promise<T>): Promise<T> {
  return locked ? locked(work) : work()
}

async function registerOne(
  options: RegistrationOptions,
  configDir: string,
): Promise<RegistrationResult> {
  const instance = await readInstance(options.run, configDir)
  if (isAbsent(instance)) return answer(configDir, 'no-postfix', [instance.reason])
  if (instance.services.length === 0) {
    return answer(configDir, 'refused', [NO_SMTPD])
  }
  if (instance.mistake !== undefined) return answer(configDir, 'refused', [instance.mistake])
  const records = openRecords(options.stateFile)
  const old = records.find(configDir)
  const target = targetOf(options, old ? [old.endpoint] : [])
  const plan = await planRegistration(options.run, instance, target)
  const linesToAdd = plan.left.flatMap(({ service, lineToAdd }) =>
    lineToAdd === undefined ? [] : [{ line: lineToAdd, ...(service ? { service } : {}) }],
  )
  const left = plan.left.map(({ why }) => why)
  const look = () => inspectInstance(options.run, configDir, target)
  if (plan.changes.length === 0) {
    const outcome = plan.left.length > 0 ? 'refused' : 'already'
    return { ...described(await look(), outcome, left), linesToAdd }
  }
  const { reasons, reloaded } = await putInPlace(options, instance, plan, records)
  if (reasons !== undefined) return { ...described(await look(), 'failed', reasons), linesToAdd }
  const all = [...left, ...(reloaded?.reasons ?? [])]
  return {
    ...described(await look(), 'registered', all),
    linesToAdd,
    reloaded: reloaded?.reloaded ?? false,
  }
}

/** Changes only items that already exist and miss the daemon. */
async function followOne(
  options: RegistrationOptions,
  configDir: string,
): Promise<RegistrationResult> {
  const instance = await readInstance(options.run, configDir)
  if (isAbsent(instance)) return answer(configDir, 'no-postfix', [instance.reason])
  const records = openRecords(options.stateFile)
  const old = records.find(configDir)
  const target = targetOf(options, old ? [old.endpoint] : [])
  const plan = await planRegistration(options.run, instance, target, 'move')
  const look = () => inspectInstance(options.run, configDir, target)
  const lost = (old?.edits ?? []).filter(edit => !isStillThere(instance, edit)).map(notPutBack)
  const left = [...lost, ...plan.left.map(({ why }) => why)]
  if (plan.changes.length === 0) {
    // An instance that does not query the daemon is not this command's concern.
    return old || hasOurs(plan.protections)
      ? described(await look(), 'already', left)
      : answer(configDir, 'already', left)
  }
  const { reasons, reloaded } = await putInPlace(options, instance, plan, records)
  const done = reasons === undefined ? 'registered' : 'failed'
  const all = [...left, ...(reasons ?? []), ...(reloaded?.reasons ?? [])]
  return {
    ...described(await look(), done, all),
    reloaded: reloaded?.reloaded ?? false,
  }
}

function notPutBack({ file, service, parameter }: Edit): string {
  const where = service === undefined ? file : `${service} in ${file}`
  return (
    `${where}: the item in ${parameter} was removed; it is not added again. ` +
    'To add it: mtpolicyctl postfix register'
  )
}

/**
 * Changes files and record together; if Postfix complains, both are restored and `reasons` says
 * why.
 */
async function putInPlace(
  { run, endpoint }: RegistrationOptions,
  instance: PostfixInstance,
  { edits, changes, moved, protections }: RegistrationPlan,
  records: RecordFile,
) {
  const { configDir } = instance
  const old = records.find(configDir)
  const kept = (old?.edits ?? []).filter(edit => isStillThere(instance, edit)).map(renamed)
  const undoRecord = records.remember(configDir)
  if (kept.length + edits.length > 0) {
    records.put({ configDir, endpoint, edits: [...kept, ...edits] }, changes)
  }
  const isAsWanted = async () => {
    const now = await readInstance(run, configDir)
    if (isAbsent(now)) return now.reason
    const lost = protections.find(({ service, answer: expected }) => {
      const found = now.services.find(({ name }) => name === service.name)
      return expected === 'asked' && found?.mistake !== undefined
    })
    return lost && `${lost.service.name} would no longer start`
  }
  let reasons: string[]
  try {
    reasons = await changeFiles(run, configDir, changes, isAsWanted)
  } catch (error) {
    undoRecord()
    throw error
  }
  if (reasons.length > 0) {
    undoRecord()
    return { reasons, reloaded: undefined }
  }
  return { reasons: undefined, reloaded: await reloadIfRunning(run, instance) }

  function renamed(edit: Edit): Edit {
    let { item, inserted } = edit
    for (const [from, server] of moved) {
      item = item.replace(from, formatServer(server))
      inserted = inserted.replace(from, formatServer(server))
    }
    return { ...edit, item, inserted }
  }
}

function isStillThere({ mainCf, masterCf }: PostfixInstance, edit: Edit): boolean {
  const server = /(?:inet|unix):[^\s,{}]+/.exec(edit.item)?.[0] ?? edit.item
  return hasItem({ mainCf: mainCf.text, masterCf: masterCf.text }, edit, server)
}

function hasOurs(protections: readonly Protection[]): boolean {
  return protections.some(({ queries, missed }) => queries.length + missed.length > 0)
}

function described(
  inspection: Inspection,
  outcome: RegistrationResult['outcome'],
  reasons: readonly string[],
): RegistrationResult {
  const { configDir, protections, absent } = inspection
  if (absent !== undefined) return answer(configDir, 'failed', [absent])
  const item = protections.flatMap(({ queries }) => queries)[0]?.text
  const { problems, notes } = protectionNotes(inspection)
  return {
    ...answer(configDir, outcome, [...reasons, ...problems], notes),
    coverage: coverageOf(protections),
    services: protections.map(one => ({ name: one.service.name, answer: one.answer })),
    ...(item === undefined ? {} : { item }),
  }
}

async function unregisterOne(
  { run, endpoint, stateFile }: RegistrationOptions,
  configDir: string,
): Promise<RegistrationResult> {
  const { records, doubt } = openOrDoubt(stateFile)
  const record = records?.find(configDir)
  const instance = await readInstance(run, configDir)
  if (!fs.existsSync(path.join(configDir, 'main.cf'))) {
    if (doubt) return answer(configDir, 'failed', [doubt])
    records?.remove(configDir)
    return answer(configDir, 'nothing', [], ['there is no main.cf'])
  }
  const version = isAbsent(instance) ? '3.0' : instance.version
  const changes = undoChanges(configDir, record, records, exactItems(endpoint, version))
  // A Postfix that was removed but not purged leaves main.cf behind: remove our text from it all
  // the same.
  const isThere = isAbsent(instance) ? undefined : async () => undefined
  const refusal = changes.length > 0 ? await changeFiles(run, configDir, changes, isThere) : []
  if (refusal.length > 0) return answer(configDir, 'failed', refusal)
  records?.remove(configDir)

  const outcome = changes.length > 0 ? 'unregistered' : 'nothing'
  const doubts = doubt ? [`${doubt}; only the item itself was searched for`] : []
  if (isAbsent(instance)) return answer(configDir, outcome, [], doubts)
  const reload = changes.length > 0 ? await reloadIfRunning(run, instance) : undefined
  const now = await readInstance(run, configDir)
  const endpoints = record ? [endpoint, record.endpoint] : [endpoint]
  const left = isAbsent(now) ? [] : mentions(now, endpoints)
  return {
    ...answer(configDir, outcome, [...left.map(stillAsks), ...(reload?.reasons ?? [])], doubts),
    reloaded: reload?.reloaded ?? false,
  }
}

function undoChanges(
  configDir: string,
  record: RegistrationRecord | undefined,
  records: RecordFile | undefined,
  items: readonly string[],
): Change[] {
  return (['main.cf', 'master.cf'] as const).flatMap(name => {
    if (!fs.existsSync(path.join(configDir, name))) return []
    const before = fs.readFileSync(realFile(configDir, name), 'latin1')
    let after = before
    if (record && records) after = withoutOurs(name, before, record, records)
    else if (name === 'main.cf') after = items.reduce(withoutItem, before)
    return after === before ? [] : [{ name, before, after }]
  })
}

/** The item as we would write it, for either address family. */
function exactItems(endpoint: Endpoint, version: string): string[] {
  const servers = (['ipv4', 'ipv6'] as const).map(one => serverFor(listenersOf(endpoint), [one]))
  return servers.flatMap(server => ('why' in server ? [] : [restrictionItem(server, version)]))
}

/** A record that is not trusted must not keep us from removing our item from main.cf. */
function openOrDoubt(stateFile: string): { records?: RecordFile; doubt?: string } {
  try {
    return { records: openRecords(stateFile) }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return { doubt: error.message }
  }
}
