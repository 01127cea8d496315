/**
 * Registers the daemon with Postfix, and undoes it exactly: on UCS through variables (`ucs.ts`), on
 * plain Debian as follows. Which of the two is seen from the host.
 *
 * One item, first in `smtpd_end_of_data_restrictions` of main.cf: there it sees every message once,
 * whatever the permits in front of other lists and the `-o` overrides of the stock services. The
 * file is edited as text, checked by Postfix itself and put back if Postfix then complains about
 * anything new. Registering twice is registering once; another endpoint replaces the old one.
 *
 * `unregister` gives back the file byte for byte if nobody touched it, else it cuts only our text.
 * Postfix is reloaded if it runs, never started. master.cf is not edited; what would be needed there
 * is said. A main.cf that something generates is left alone, with the line to add.
 */

import fs from 'node:fs'
import path from 'node:path'
import { primaryConfigDir, readInstance } from './instance.ts'
import { insertItem, removeInserted, removeRestrictions } from './main-cf.ts'
import { changeMainCf, findGenerator } from './main-cf-file.ts'
import {
  answer,
  inTurn,
  mentions,
  type RegistrationOptions,
  type RegistrationResult,
  reloadIfRunning,
  serviceNotes,
} from './registration.ts'
import {
  openRecords,
  type RecordFile,
  type RegistrationRecord,
  sha256,
} from './registration-record.ts'
import { asks, END_OF_DATA, endpointName, recognise, restrictionItem } from './restriction-list.ts'
import {
  followOnUcs,
  hasUcsRecord,
  onUcs,
  postfixDirectory,
  registerOnUcs,
  unregisterOnUcs,
} from './ucs.ts'

export type { RegistrationOptions, RegistrationResult } from './registration.ts'

export async function register(options: RegistrationOptions): Promise<RegistrationResult[]> {
  const ucs = await onUcs(options)
  if (ucs) return inTurn([postfixDirectory(ucs.ucr.root)], () => registerOnUcs(ucs))
  const configDirs = options.configDirs ?? [await primaryConfigDir(options.run)]
  return inTurn(configDirs, configDir => registerOne(options, path.resolve(configDir)))
}

export async function unregister(options: RegistrationOptions): Promise<RegistrationResult[]> {
  const ucs = await onUcs(options)
  const { ucr } = options
  if (ucr && (ucs || hasUcsRecord(options))) {
    return inTurn([postfixDirectory(ucr.root)], () => unregisterOnUcs({ ...options, ucr }))
  }
  const configDirs = options.configDirs ?? [await primaryConfigDir(options.run)]
  const all = new Set(configDirs.map(configDir => path.resolve(configDir)))
  if (!options.configDirs) {
    for (const configDir of recordedDirs(options.stateFile)) all.add(configDir)
  }
  return inTurn([...all], configDir => unregisterOne(options, configDir))
}

/**
 * After a change of the daemon's endpoint, or of an entry of the recipient list on UCS: what is
 * registered goes where the daemon is. What is not registered stays that way.
 */
export async function follow(
  options: RegistrationOptions,
  justSet: readonly string[] = [],
): Promise<RegistrationResult[]> {
  const ucs = await onUcs(options)
  if (ucs) return inTurn([postfixDirectory(ucs.ucr.root)], () => followOnUcs(ucs, justSet))
  const records = openOrDoubt(options.stateFile).records?.all() ?? []
  const elsewhere = records.filter(
    ({ endpoint }) => endpointName(endpoint) !== endpointName(options.endpoint),
  )
  return inTurn(
    elsewhere.map(({ configDir }) => configDir),
    configDir => registerOne(options, configDir),
  )
}

async function registerOne(
  { run, endpoint, stateFile }: RegistrationOptions,
  configDir: string,
): Promise<RegistrationResult> {
  const instance = await readInstance(run, configDir)
  if ('absent' in instance) return answer(configDir, 'no-postfix', [instance.reason])
  if (instance.services.length === 0) {
    return answer(configDir, 'refused', ['this Postfix has no smtpd service: nothing would ask'])
  }
  const item = restrictionItem(endpoint, instance.version)
  const records = openRecords(stateFile)
  const old = records.find(configDir)
  const notes = serviceNotes(instance, endpoint)
  const present = recognise(instance.endOfData, [endpoint])
  // The old endpoint of a record has to go even where the new one is already asked.
  const isStale =
    old !== undefined &&
    recognise(old.item, [endpoint]).length === 0 &&
    recognise(instance.endOfData, [old.endpoint]).length > 0
  if (present.length > 0 && !isStale) {
    return { ...answer(configDir, 'already'), item: present[0] ?? item, notes }
  }

  const file = fs.realpathSync(path.join(configDir, 'main.cf'))
  const text = fs.readFileSync(file, 'latin1')
  const generator = findGenerator(text)
  if (generator) {
    const reasons = [`${file} is generated (“${generator}”): an edit would be lost. Add there:`]
    return {
      ...answer(configDir, 'refused', reasons),
      lineToAdd: `${END_OF_DATA} = ${item}`,
      notes,
    }
  }
  const before = old ? withoutOurs(text, old, records) : text
  const edit = present.length > 0 ? undefined : insertItem(before, END_OF_DATA, item)
  const after = edit?.text ?? before
  const undoRecord = records.remember(configDir)
  if (edit) {
    const sums = { sha256Before: sha256(before), sha256After: sha256(after) }
    const { inserted, created } = edit
    records.put(
      { configDir, parameter: END_OF_DATA, endpoint, item, inserted, created, ...sums },
      before,
    )
  }
  const isThere = async () => {
    const now = await readInstance(run, configDir)
    return !('absent' in now) && recognise(now.endOfData, [endpoint]).length > 0
  }
  let refusal: string[]
  try {
    refusal = await changeMainCf(run, configDir, file, { text, after }, isThere)
  } catch (error) {
    undoRecord()
    throw error
  }
  if (refusal.length > 0) {
    undoRecord()
    return { ...answer(configDir, 'failed', refusal), notes }
  }
  if (!edit) records.remove(configDir)
  const reload = await reloadIfRunning(run, instance)
  return { ...answer(configDir, 'registered', reload.reasons), item, notes, ...reload }
}

async function unregisterOne(
  { run, endpoint, stateFile }: RegistrationOptions,
  configDir: string,
): Promise<RegistrationResult> {
  const { records, doubt } = openOrDoubt(stateFile)
  const record = records?.find(configDir)
  const endpoints = record ? [endpoint, record.endpoint] : [endpoint]
  const instance = await readInstance(run, configDir)
  const link = path.join(configDir, 'main.cf')
  if (!fs.existsSync(link)) {
    if (doubt) return answer(configDir, 'failed', [doubt])
    records?.remove(configDir)
    return answer(configDir, 'nothing', [], ['there is no main.cf'])
  }
  const file = fs.realpathSync(link)
  const text = fs.readFileSync(file, 'latin1')
  const after =
    record && records
      ? withoutOurs(text, record, records)
      : withoutItem(text, restrictionItem(endpoint, 'absent' in instance ? '3' : instance.version))
  // A Postfix that was removed but not purged leaves main.cf: our text goes all the same.
  const isThere = 'absent' in instance ? undefined : async () => true
  const refusal =
    after === text ? [] : await changeMainCf(run, configDir, file, { text, after }, isThere)
  if (refusal.length > 0) return answer(configDir, 'failed', refusal)
  records?.remove(configDir)

  const outcome = after === text ? 'nothing' : 'unregistered'
  const doubts = doubt ? [`${doubt}; only the item itself was looked for`] : []
  if ('absent' in instance) return answer(configDir, outcome, [], doubts)
  const reload = after === text ? undefined : await reloadIfRunning(run, instance)
  const now = await readInstance(run, configDir)
  const left = 'absent' in now ? [] : mentions(now, endpoints, true)
  const reasons = left.map(place => `still asks the daemon: ${place}`)
  return {
    ...answer(configDir, outcome, [...reasons, ...(reload?.reasons ?? [])], doubts),
    reloaded: reload?.reloaded ?? false,
  }
}

/** A record that cannot be believed does not keep our item in main.cf. */
function openOrDoubt(stateFile: string): { records?: RecordFile; doubt?: string } {
  try {
    return { records: openRecords(stateFile) }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return { doubt: error.message }
  }
}

/** main.cf without our text: the saved file if nobody touched ours since, else ours cut out. */
function withoutOurs(text: string, record: RegistrationRecord, records: RecordFile): string {
  if (sha256(text) === record.sha256After) {
    const saved = records.saved(record)
    if (saved !== undefined) return saved
  }
  const cut = removeInserted(text, record.parameter, record)
  if (cut !== undefined) return cut
  return removeRestrictions(text, record.parameter, (restriction, argument) =>
    asks(restriction, argument, [record.endpoint]),
  )
}

/** Without a record only the item exactly as we would write it is ours. */
function withoutItem(text: string, item: string): string {
  return removeRestrictions(
    text,
    END_OF_DATA,
    (restriction, argument) => `${restriction} ${argument}` === item,
  )
}

function recordedDirs(stateFile: string): string[] {
  return (openOrDoubt(stateFile).records?.all() ?? []).map(({ configDir }) => configDir)
}
