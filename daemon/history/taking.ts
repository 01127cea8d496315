/**
 * Takes the records of the spool into a portion: finds the account, counts each message once, and keeps the
 * sums of the last day up to date.
 */

import type { Gap } from '../policy/ports/history.ts'
import type { Accounts } from './accounts.ts'
import { dayOf, type Heads } from './heads.ts'
import { HOUR } from './hour-page.ts'
import type { Instances } from './instances.ts'
import { NOWHERE, type Portion, READING_BYTES } from './portion.ts'
import type { Recent } from './recent.ts'
import {
  accountOf,
  endOfMessage,
  instanceOf,
  messageAt,
  originOf,
  readMissed,
  readSteps,
} from './record-reader.ts'
import {
  ACCEPTED,
  AT,
  BYTES,
  EXPLAINED,
  FLAGS,
  MISSED,
  RECIPIENTS,
  RECORD_HEAD,
  RECORDS_AT,
  REFUSED,
  STAGE_BITS,
} from './spool-format.ts'

const AT_RECIPIENT = 1
const SAME_GAP_MILLISECONDS = 60_000

export interface Memory {
  readonly accounts: Accounts
  readonly heads: Heads
  readonly instances: Instances
  /** All that are to be kept up to date. */
  readonly recents: readonly Recent[]
}

/** Hours since 1970; a clock that was never set is at 0. */
export const hourOf = (at: number): number => Math.max(0, Math.floor(at / HOUR))

/** All records of a frame, which is whole. Throws RangeError: a bug has written it. */
export function takeFrame(
  portion: Portion,
  reading: number,
  frame: number,
  end: number,
  memory: Memory,
): void {
  const bytes = portion.readings[reading]
  if (!bytes) return
  for (let record = frame + RECORDS_AT; record < end; ) {
    const length = bytes.readUInt32LE(record + 1)
    if (length < RECORD_HEAD || record + length > end) throw new RangeError('a record is cut off')
    takeRecord(portion, reading, bytes, record, record + length, memory)
    record += length
  }
}

function takeRecord(
  portion: Portion,
  reading: number,
  bytes: Buffer,
  record: number,
  end: number,
  memory: Memory,
): void {
  switch (bytes[record]) {
    case ACCEPTED:
    case REFUSED:
      takeVerdict(portion, reading, bytes, record, end, memory)
      break
    case EXPLAINED:
      explain(portion, bytes.subarray(record, end))
      break
    case MISSED:
      takeGap(portion.gaps, readMissed(bytes, record))
      break
    default:
    // A newer version has written it.
  }
}

/** Where refusals were noted in between, it is still one gap. */
function takeGap(gaps: Gap[], gap: Gap): void {
  const last = gaps.at(-1)
  if (last?.why !== gap.why || gap.from - last.to > SAME_GAP_MILLISECONDS) gaps.push(gap)
  else gaps[gaps.length - 1] = { ...last, to: gap.to, missing: last.missing + gap.missing }
}

function takeVerdict(
  portion: Portion,
  reading: number,
  bytes: Buffer,
  record: number,
  end: number,
  memory: Memory,
): void {
  const name = accountOf(bytes, record)
  let account = memory.accounts.numberOf(bytes, name.from, name.end)
  if (account < 0) {
    account = memory.accounts.add(bytes, name.from, name.end)
    if (account < 0) {
      portion.strangers++
      return
    }
    portion.newAccounts.push(account)
  }
  const message = messageAt(bytes, name.end)
  const instance = instanceOf(bytes, message)
  const key = memory.instances.keyOf(bytes, instance.from, instance.end, account)
  const at = bytes.readDoubleLE(message + AT)
  memory.heads.touch(account, dayOf(hourOf(at)))
  const stage = (bytes[message + FLAGS] ?? 0) & STAGE_BITS
  const isRefused = bytes[record] === REFUSED
  const base = reading * READING_BYTES
  const told = {
    account,
    key,
    stage,
    hour: hourOf(at),
    place: base + message,
    length: (isRefused ? endOfMessage(bytes, message) : end) - message,
    at,
    name: base + name.end,
  }
  if (isRefused) {
    takeRefusal(portion, told, memory)
    const { code, queueId, instance: text } = originOf(bytes, message)
    // A copy: the readings are given up before the refusals are.
    const copy = Buffer.from(bytes.subarray(record, end))
    portion.refusals.push({
      account,
      at,
      code,
      queueId,
      instance: text,
      record: copy,
      steps: undefined,
    })
    return
  }
  const recipients = bytes.readUInt32LE(message + RECIPIENTS)
  takeMessage(portion, told, recipients, bytes.readDoubleLE(message + BYTES), memory)
}

interface Told {
  readonly account: number
  readonly key: number
  readonly stage: number
  readonly hour: number
  readonly place: number
  readonly length: number
  readonly at: number
  readonly name: number
}

function takeRefusal(portion: Portion, told: Told, memory: Memory): void {
  const { account, key, stage, hour, place, length, at, name } = told
  portion.add(account, hour, 0, 0, 1, 0, place, length, at, name)
  for (const recent of memory.recents) recent.add(hour, account, 0, 0, 1, 0)
  // What was accepted of it before does not go its way.
  const known = stage === AT_RECIPIENT ? -1 : memory.instances.find(key)
  if (known < 0) return
  portion.touched.push(key)
  change(portion, known, 0, 0, 0, NOWHERE, memory)
  memory.instances.remove(known)
}

function takeMessage(
  portion: Portion,
  told: Told,
  recipients: number,
  bytes: number,
  memory: Memory,
): void {
  const { account, key, stage, hour, place, length, at, name } = told
  const { instances } = memory
  const known = instances.find(key)
  if (known < 0) {
    const item = portion.add(account, hour, 1, recipients, 0, bytes, place, length, at, name)
    for (const recent of memory.recents) recent.add(hour, account, 1, recipients, 0, bytes)
    if (key === 0) return
    portion.touched.push(key)
    remember(instances, key, account, hour, recipients, bytes, stage, portion.number, item)
    return
  }
  const before = instances.stages[known] ?? 0
  if (stage === AT_RECIPIENT) {
    if (before !== AT_RECIPIENT) return
    const all = (instances.recipients[known] ?? 0) + recipients
    portion.touched.push(key)
    change(portion, known, 1, all, instances.bytes[known] ?? 0, undefined, memory)
    return
  }
  portion.touched.push(key)
  instances.stages[known] = stage
  change(portion, known, 1, recipients, bytes, told, memory)
}

export function remember(
  instances: Instances,
  key: number,
  account: number,
  hour: number,
  recipients: number,
  bytes: number,
  stage: number,
  portion: number,
  item: number,
): void {
  const place = instances.add(key)
  instances.accounts[place] = account
  instances.hours[place] = hour
  instances.recipients[place] = recipients
  instances.bytes[place] = bytes
  instances.stages[place] = stage
  instances.portions[place] = portion
  instances.items[place] = item
}

/** A message that was counted comes to this in the end; `to`: where it is told of now. */
function change(
  portion: Portion,
  known: number,
  messages: number,
  recipients: number,
  bytes: number,
  to: Told | typeof NOWHERE | undefined,
  { instances, recents }: Memory,
): void {
  const account = instances.accounts[known] ?? 0
  const hour = instances.hours[known] ?? 0
  const moreRecipients = recipients - (instances.recipients[known] ?? 0)
  const moreBytes = bytes - (instances.bytes[known] ?? 0)
  instances.recipients[known] = recipients
  instances.bytes[known] = bytes
  for (const recent of recents) {
    recent.add(hour, account, messages - 1, moreRecipients, 0, moreBytes)
  }
  if (instances.portions[known] !== portion.number) {
    if (messages === 1 && moreRecipients === 0 && moreBytes === 0) return
    portion.add(account, hour, messages - 1, moreRecipients, 0, moreBytes, NOWHERE, 0, 0, NOWHERE)
    return
  }
  const item = instances.items[known] ?? 0
  portion.messages[item] = messages
  portion.recipients[item] = recipients
  portion.bytes[item] = bytes
  if (to === undefined) return
  if (to === NOWHERE) {
    portion.places[item] = NOWHERE
    portion.names[item] = NOWHERE
    return
  }
  portion.places[item] = to.place
  portion.lengths[item] = to.length
  portion.times[item] = to.at
  portion.names[item] = to.name
}

function explain(portion: Portion, record: Buffer): void {
  const { code } = readSteps(record)
  const bytes = Buffer.from(record)
  const refusal = portion.refusals.findLast(one => one.code === code)
  if (refusal) refusal.steps = bytes
  else portion.steps.set(code, bytes)
}
