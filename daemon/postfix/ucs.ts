/**
 * Registers the daemon with Postfix on a UCS server, through UCR's variables, and undoes it exactly.
 *
 * There main.cf and master.cf are rendered by UCR, so an edit of the files would be lost. What is
 * written where is decided in `ucs-variables.ts`; here it is recorded, set in one call, rendered,
 * judged by Postfix, and taken back if Postfix complains about anything new. UCR never reloads
 * Postfix: we do, if it runs.
 *
 * `follow` makes the wiki's one line enough: called whenever an entry of the recipient list or the
 * daemon's endpoint changes, it adds what an own entry lacks, and takes it back when the last own
 * entry is gone. It runs inside `ucr set` and sets variables itself; called again by that it finds
 * nothing to do.
 */

import fs from 'node:fs'
import path from 'node:path'
import { complaints, type PostfixInstance, readInstance } from './instance.ts'
import {
  answer,
  mentions,
  type RegistrationOptions,
  type RegistrationResult,
  reloadIfRunning,
  type UcsOptions,
} from './registration.ts'
import { type Endpoint, endpointName, recognise } from './restriction-list.ts'
import { openUcsRecord, type UcsRecord, type WrittenVariable } from './ucs-record.ts'
import { itemOnUcs, missing } from './ucs-status.ts'
import { inboundEntries, planRegistration, undone, written } from './ucs-variables.ts'

/** UCR's names of the files, wherever the root is. */
const RENDERED = ['/etc/postfix/main.cf', '/etc/postfix/master.cf']

export function postfixDirectory(root: string): string {
  return path.join(root, 'etc/postfix')
}

/** The options, if Postfix's files on this host come from UCR and no other instance is meant. */
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

/** What we once set has to be taken back even where UCR no longer renders Postfix's files. */
export function hasUcsRecord({ ucr, stateFile }: RegistrationOptions): boolean {
  return ucr !== undefined && openUcsRecord(stateFile).record !== undefined
}

export async function registerOnUcs(options: UcsOptions): Promise<RegistrationResult> {
  const configDir = postfixDirectory(options.ucr.root)
  const instance = await readInstance(options.run, configDir)
  if ('absent' in instance) return answer(configDir, 'no-postfix', [instance.reason])
  return bringAbout(options, instance, { complete: true, isHook: false })
}

/** `justSet`: the keys of the change that this follows; an own entry among them goes when we go. */
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
  // An entry from before our time is for `register` to complete, when the daemon has answered.
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
  if ('absent' in instance) return answer(configDir, 'no-postfix', [instance.reason])
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
  const plan = planRegistration(before, { endpoint, was, mailVersion: version, complete })
  const { changes, reasons, notes } = plan
  if (changes.size === 0) {
    if (old && endpointName(old.endpoint) !== endpointName(endpoint))
      file.store({ ...old, endpoint })
    // In a hook the files may be those of before: what they say is no news then.
    const found = isHook ? [] : missing(options, instance)
    const result = answer(configDir, 'already', [...reasons, ...found], notes)
    return withItem(result, instance, endpoint)
  }

  const known = await complaints(run, configDir)
  file.store({ endpoint, variables: recorded(old, changes, written(before)) })
  const trouble = await setVariables(options, changes)
  const fresh = trouble ?? (await newComplaints(options, known))
  if (fresh.length > 0) {
    const former = [...changes.keys()].map(key => [key, written(before).get(key)] as const)
    const stuck = await setVariables(options, new Map(former))
    file.store(old)
    const done = stuck ?? ['the variables are as they were before']
    return { ...answer(configDir, 'failed', [...fresh, ...done]), notes }
  }
  const now = await readInstance(run, configDir)
  if ('absent' in now) return answer(configDir, 'failed', [now.reason])
  const reload = await reloadIfRunning(run, now)
  const all = [...reasons, ...missing(options, now), ...reload.reasons]
  return {
    ...withItem(answer(configDir, 'registered', all, notes), now, endpoint),
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
      ? [`an administrator's variable still asks the daemon: ${key}=${value}${danger(value)}`]
      : [],
  )
  const instance = await readInstance(run, configDir)
  if ('absent' in instance) return { ...answer(configDir, outcome, left), variables }
  const reload = changes.size > 0 ? await reloadIfRunning(run, instance) : undefined
  // What no variable says comes from main.cf.local or master.cf.local; in a hook it may be old.
  const isOld = isHook && changes.size === 0
  const places = left.length > 0 || isOld ? [] : mentions(instance, endpoints, true)
  const reasons = [...left, ...places.map(place => `still asks the daemon: ${place}`)]
  return {
    ...answer(configDir, outcome, [...reasons, ...(reload?.reasons ?? [])]),
    variables,
    reloaded: reload?.reloaded ?? false,
  }
}

/** Without a default action a daemon that is gone is an outage. */
function danger(value: string): string {
  if (/default_action/i.test(value)) return ''
  return ' (without the daemon Postfix then answers 451; take it out: ucr unset)'
}

/** One `ucr set` and one `ucr unset`, then both files rendered; empty if well, else why not. */
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
    // Inside a hook of UCR the files may not have been rendered yet: the order there is by chance.
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

/** What is recorded after a change: of a variable that was ours before, the value before us. */
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

function withItem(
  result: RegistrationResult,
  instance: PostfixInstance,
  endpoint: Endpoint,
): RegistrationResult {
  const item = itemOnUcs(instance, endpoint)
  return item === undefined ? result : { ...result, item }
}
