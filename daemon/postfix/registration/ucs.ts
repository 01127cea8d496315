/**
 * Registers the daemon with Postfix on a UCS server, through UCR's variables, and undoes it
 * exactly.
 *
 * There UCR renders main.cf and master.cf, so an edit of the files would be lost.
 * `ucs-variables.ts` decides what is set where; here it is recorded, set in one call, rendered,
 * checked by Postfix, and taken back if Postfix reports a new problem. UCR never reloads Postfix,
 * so we do if it is running.
 *
 * `follow` makes the wiki's single line sufficient: called whenever an entry of the recipient list
 * or the daemon's endpoint changes, it adds what an own entry lacks, and removes it when the last
 * own entry is gone. It runs inside `ucr set` and sets variables itself, which calls it again; then
 * it finds nothing to do.
 */

import fs from 'node:fs'
import path from 'node:path'
import type { Inspection } from '../findings/findings.ts'
import { endpointName, protocolsOf } from '../smtpd/endpoint.ts'
import { complaints, isAbsent, type PostfixInstance, readInstance } from '../smtpd/instance.ts'
import { recognise } from './own-items.ts'
import {
  answer,
  coverageOf,
  mentions,
  type RegistrationOptions,
  type RegistrationResult,
  reloadIfRunning,
  stillAsks,
  type UcsOptions,
} from './registration.ts'
import { openUcsRecord, type UcsRecord, type WrittenVariable } from './ucs-record.ts'
import { inspectUcs, itemOnUcs, missing } from './ucs-status.ts'
import { inboundEntries, planRegistration, undone, written } from './ucs-variables.ts'

/** UCR's names for the files, whatever the root directory. */
const RENDERED = ['/etc/postfix/main.cf', '/etc/postfix/master.cf']

export function postfixDirectory(root: string): string {
  return path.join(root, 'etc/postfix')
}

/** The options, if UCR renders this host's Postfix files and no other instance is meant. */
export async function onUcs(options: RegistrationOptions): Promise<UcsOptions | undefined> {
  const { ucr, configDirs, run } = options
  if (!ucr) return undefined
  const own = postfixDirectory(ucr.root)
  if (configDirs?.some(directory => path.resolve(directory) !== own)) return undefined
  const info = path.join(ucr.root, 'etc/univention/templates/info/univention-mail-postfix.info')
  if (!fs.existsSync(info)) return undefined
  const database = path.join(ucr.root, 'var/lib/dpkg')
  const [main = ''] = RENDERED
  const real = await run(['dpkg-divert', '--admindir', database, '--truename', main])
  const isDiverted = real.status === 0 && real.stdout.trim() !== main
  return isDiverted ? { ...options, ucr } : undefined
}

/** Variables that we set have to be restored even where UCR no longer renders Postfix's files. */
export function hasUcsRecord({ ucr, stateFile }: RegistrationOptions): boolean {
  return ucr !== undefined && openUcsRecord(stateFile).record !== undefined
}

export async function registerOnUcs(options: UcsOptions): Promise<RegistrationResult> {
  const configDir = postfixDirectory(options.ucr.root)
  const instance = await readInstance(options.run, configDir)
  if (isAbsent(instance)) return answer(configDir, 'no-postfix', [instance.reason])
  return bringAbout(options, instance, { complete: true, isHook: false })
}

/**
 * `justSet`: the keys of the change that triggered this call; an own entry among them is removed
 * when we unregister.
 */
export async function followOnUcs(
  options: UcsOptions,
  justSet: readonly string[],
): Promise<RegistrationResult> {
  const { ucr, endpoint, stateFile, run } = options
  const configDir = postfixDirectory(ucr.root)
  const file = openUcsRecord(stateFile)
  const was = file.record ? [file.record.endpoint] : []
  const own = inboundEntries(ucr.view(), [endpoint, ...was])
  if (own.length === 0) {
    return file.record ? takeBack(options, true) : answer(configDir, 'nothing')
  }
  // An entry older than this package is completed by `register`, once the daemon has answered.
  if (!file.record && !own.some(key => justSet.includes(key))) return answer(configDir, 'nothing')
  const known = new Set(file.record?.variables.map(({ key }) => key))
  const adopted = own
    .filter(key => justSet.includes(key) && !known.has(key))
    .map(key => ({ key, written: ucr.view().merged.get(key) ?? '' }))
  if (adopted.length > 0 || !file.record) {
    const variables = [...(file.record?.variables ?? []), ...adopted]
    file.store({ endpoint: file.record?.endpoint ?? endpoint, variables })
  }
  const instance = await readInstance(run, configDir)
  if (isAbsent(instance)) return answer(configDir, 'no-postfix', [instance.reason])
  return bringAbout(options, instance, { complete: ucr.mayComplete, isHook: true })
}

async function bringAbout(
  options: UcsOptions,
  instance: PostfixInstance,
  { complete, isHook }: { readonly complete: boolean; readonly isHook: boolean },
): Promise<RegistrationResult> {
  const { ucr, endpoint, run, stateFile } = options
  const { configDir, version } = instance
  const file = openUcsRecord(stateFile)
  const old = file.record
  const before = ucr.view()
  const was = old ? [old.endpoint] : []
  const protocols = protocolsOf(instance.parameters.value('inet_protocols'))
  const wanted = { endpoint, was, mailVersion: version, protocols, complete }
  const plan = planRegistration(before, wanted)
  const { changes, reasons, notes } = plan
  if (changes.size === 0) {
    if (old && endpointName(old.endpoint) !== endpointName(endpoint))
      file.store({ ...old, endpoint })
    // In a hook the files may not be rendered yet, so what they say is out of date.
    const inspection = await inspectUcs(options, configDir)
    const found = isHook ? [] : missing(options, inspection)
    return withItem(answer(configDir, 'already', [...reasons, ...found], notes), inspection)
  }

  const known = await complaints(run, configDir)
  file.store({ endpoint, variables: recorded(old, changes, written(before)) })
  const trouble = await setVariables(options, changes)
  const fresh = trouble ?? (await newComplaints(options, known))
  if (fresh.length > 0) {
    const former = [...changes.keys()].map(key => [key, written(before).get(key)] as const)
    const stuck = await setVariables(options, new Map(former))
    file.store(old)
    const done = stuck ?? ['the variables were restored']
    return { ...answer(configDir, 'failed', [...fresh, ...done]), notes }
  }
  const now = await readInstance(run, configDir)
  if (isAbsent(now)) return answer(configDir, 'failed', [now.reason])
  const reload = await reloadIfRunning(run, now)
  const inspection = await inspectUcs(options, configDir)
  const all = [...reasons, ...missing(options, inspection), ...reload.reasons]
  return {
    ...withItem(answer(configDir, 'registered', all, notes), inspection),
    variables: [...changes].map(([key, value]) => `${key}=${value}`),
    reloaded: reload.reloaded,
  }
}

export async function unregisterOnUcs(options: UcsOptions): Promise<RegistrationResult> {
  return takeBack(options, false)
}

async function takeBack(options: UcsOptions, isHook: boolean): Promise<RegistrationResult> {
  const { ucr, endpoint, run, stateFile } = options
  const configDir = postfixDirectory(ucr.root)
  const file = openUcsRecord(stateFile)
  const { record } = file
  const endpoints = record ? [endpoint, record.endpoint] : [endpoint]
  const values = written(ucr.view())
  const changes = new Map<string, string | undefined>()
  for (const entry of record?.variables ?? []) {
    const now = values.get(entry.key)
    const then = undone(now, entry, endpoints)
    if (then !== now) changes.set(entry.key, then)
  }
  const trouble = changes.size > 0 ? await setVariables(options, changes) : undefined
  if (trouble) return answer(configDir, 'failed', trouble)
  file.store(undefined)

  const outcome = changes.size > 0 ? 'unregistered' : 'nothing'
  const variables = [...changes].map(([key, value]) =>
    value === undefined ? key : `${key}=${value}`,
  )
  const left = [...ucr.view().merged].flatMap(([key, value]) =>
    key.startsWith('mail/postfix/') && recognise(value, endpoints).length > 0
      ? [`an administrator's variable still queries the daemon: ${key}=${value}${danger(value)}`]
      : [],
  )
  const instance = await readInstance(run, configDir)
  if (isAbsent(instance)) return { ...answer(configDir, outcome, left), variables }
  const reload = changes.size > 0 ? await reloadIfRunning(run, instance) : undefined
  // An item that no variable contains comes from main.cf.local or master.cf.local; in a hook it may
  // be out of date.
  const isOld = isHook && changes.size === 0
  const places = left.length > 0 || isOld ? [] : mentions(instance, endpoints)
  const reasons = [...left, ...places.map(stillAsks)]
  return {
    ...answer(configDir, outcome, [...reasons, ...(reload?.reasons ?? [])]),
    variables,
    reloaded: reload?.reloaded ?? false,
  }
}

/** Without default_action, a stopped daemon means that no mail is accepted. */
function danger(value: string): string {
  if (/default_action/i.test(value)) return ''
  return ' (without the daemon Postfix then answers 451; remove it: ucr unset)'
}

/**
 * One `ucr set` and one `ucr unset`, then both files are rendered. Undefined on success, otherwise
 * why it failed.
 */
async function setVariables(
  { ucr, run }: UcsOptions,
  changes: ReadonlyMap<string, string | undefined>,
): Promise<string[] | undefined> {
  const set: string[] = []
  const unset: string[] = []
  for (const [key, value] of changes) {
    if (value === undefined) unset.push(key)
    else set.push(`${key}=${value}`)
  }
  const calls = [
    ...(set.length > 0 ? [['set', ...set]] : []),
    ...(unset.length > 0 ? [['unset', ...unset]] : []),
    // In a hook of UCR the files may not be rendered yet: the order there is not defined.
    ['commit', ...RENDERED],
  ]
  for (const call of calls) {
    const { status, stderr } = await run([ucr.program, ...call])
    if (status !== 0) return [`ucr ${call[0]} failed: ${stderr.trim() || `exit status ${status}`}`]
  }
  return undefined
}

async function newComplaints({ run, ucr }: UcsOptions, known: ReadonlySet<string>) {
  const said = await complaints(run, postfixDirectory(ucr.root))
  return [...said].filter(line => !known.has(line))
}

/**
 * What to record after a change: for a variable that was ours already, the value from before our
 * first change.
 */
function recorded(
  old: UcsRecord | undefined,
  changes: ReadonlyMap<string, string>,
  before: ReadonlyMap<string, string>,
): WrittenVariable[] {
  const kept = (old?.variables ?? []).filter(({ key }) => !changes.has(key))
  const fresh = [...changes].map(([key, value]) => {
    const former = old?.variables.find(entry => entry.key === key)
    const wasOurs = former !== undefined && former.written === before.get(key)
    const previous = wasOurs ? former.previous : before.get(key)
    return { key, written: value, ...(previous === undefined ? {} : { previous }) }
  })
  return [...kept, ...fresh]
}

function withItem(result: RegistrationResult, inspection: Inspection): RegistrationResult {
  const item = itemOnUcs(inspection)
  const { protections } = inspection
  return {
    ...result,
    ...(item === undefined ? {} : { item }),
    coverage: coverageOf(protections),
    services: protections.map(one => ({ name: one.service.name, answer: one.answer })),
  }
}
