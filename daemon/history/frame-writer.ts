/**
 * Writes verdicts as one frame of the spool (spool-format.ts) into a buffer that is used again and again.
 * What is accepted takes about a microsecond: its texts are copied byte by byte, nothing is concatenated.
 */

import { crc32 } from 'node:zlib'
import { putAscii } from '../memory/seven-bits.ts'
import type { FactValue } from '../policy/facts.ts'
import type { SeenStep } from '../policy/ports/history.ts'
import { dunno } from '../policy/verdict.ts'
import type { VerdictRecord } from '../policy/verdict-record.ts'
import {
  ACCEPTED,
  EXPLAINED,
  FALSE_FACT,
  FRAME_HEAD,
  IS_DUNNO,
  LARGEST_FRAME,
  MISSED,
  NUMBER_FACT,
  RECORD_HEAD,
  RECORDS_AT,
  REFUSED,
  TEXT_FACT,
  TRUE_FACT,
} from './spool-format.ts'

/** Bytes of a short text. Postfix's instance has about 25, a country 2; longer ones end there. */
const LONGEST_SHORT_TEXT = 255
/** Bytes of an account, an action or the value of an attribute; longer ones end there. */
const LONGEST_TEXT = 4096
/** Bytes of a refusal or its steps: attributes and steps beyond that are left out. */
const LARGEST_RECORD = 64 * 1024
const UINT32 = 0xffff_ffff
/** Characters; a function outside of V8 is called for longer ones. */
const SHORT = 100

export interface Missed {
  readonly from: number
  readonly to: number
  readonly missing: number
  readonly why: string
}

export class FrameWriter {
  readonly #bytes = Buffer.allocUnsafeSlow(LARGEST_FRAME)
  readonly #view = new DataView(this.#bytes.buffer)
  #end = RECORDS_AT
  #records = 0

  get isEmpty(): boolean {
    return this.#records === 0
  }

  /** How many records are in it. */
  get records(): number {
    return this.#records
  }

  /** True if another record of any size fits. */
  get hasRoom(): boolean {
    return this.#end + LARGEST_RECORD <= LARGEST_FRAME
  }

  /** `stage`: of STAGES. `account`: folded. */
  accepted(record: VerdictRecord, stage: number, account: string, sent: string): void {
    const start = this.#begin(ACCEPTED)
    const recipients = Math.max(1, record.recipients)
    this.#message(record, stage, account, sent, recipients)
    this.#finish(start)
  }

  refused(record: VerdictRecord, stage: number, account: string, sent: string): void {
    const start = this.#begin(REFUSED)
    this.#message(record, stage, account, sent, record.recipients)
    this.#short(record.host)
    this.#short(record.why)
    this.#facts(record.facts)
    const most = start + LARGEST_RECORD - LONGEST_SHORT_TEXT - LONGEST_TEXT - 3
    for (const [name, value] of record.request.attributes) {
      if (this.#end > most) break
      this.#short(name)
      this.#long(value)
    }
    this.#finish(start)
  }

  explained(code: string, steps: readonly SeenStep[]): void {
    const start = this.#begin(EXPLAINED)
    this.#short(code)
    for (const { plugin, module, saw, outcome, place } of steps) {
      if (this.#end > start + LARGEST_RECORD / 2) break
      this.#short(plugin)
      this.#short(module)
      this.#long(outcome)
      this.#long(place)
      this.#facts(saw)
    }
    this.#finish(start)
  }

  missed({ from, to, missing, why }: Missed): void {
    const start = this.#begin(MISSED)
    this.#float(from)
    this.#float(to)
    this.#count(missing)
    this.#long(why)
    this.#finish(start)
  }

  /** The frame with its head. Valid until anything is added. */
  sealed(lastCode: number): Uint8Array {
    const frame = this.#bytes.subarray(0, this.#end)
    this.#view.setUint32(0, this.#end - FRAME_HEAD, true)
    this.#view.setFloat64(FRAME_HEAD, lastCode, true)
    this.#view.setUint32(4, crc32(frame.subarray(FRAME_HEAD)), true)
    return frame
  }

  /** Begins the next one. */
  clear(): void {
    this.#end = RECORDS_AT
    this.#records = 0
  }

  #message(
    record: VerdictRecord,
    stage: number,
    account: string,
    sent: string,
    recipients: number,
  ): void {
    const { request } = record
    this.#long(account)
    this.#short(request.text('client_name'))
    this.#float(record.at)
    this.#count(recipients)
    this.#float(record.size)
    this.#bytes[this.#end++] = stage | (sent === dunno ? IS_DUNNO : 0)
    this.#short(record.instance)
    this.#short(record.queueId)
    this.#short(record.client)
    const { country } = record.facts
    this.#short(typeof country === 'string' ? country : '')
    this.#short(record.by)
    this.#short(record.code)
    if (sent !== dunno) this.#long(sent)
  }

  /** At most half a record: what is beyond that is left out. */
  #facts(facts: Readonly<Record<string, FactValue | undefined>>): void {
    const countAt = this.#end++
    const most = this.#end + LARGEST_RECORD / 4
    let count = 0
    for (const name in facts) {
      const value = facts[name]
      if (value === undefined || count === 255 || this.#end > most) continue
      count++
      this.#short(name)
      if (typeof value === 'number') {
        this.#bytes[this.#end++] = NUMBER_FACT
        this.#float(value)
      } else if (typeof value === 'string') {
        this.#bytes[this.#end++] = TEXT_FACT
        this.#long(value)
      } else this.#bytes[this.#end++] = value ? TRUE_FACT : FALSE_FACT
    }
    this.#bytes[countAt] = count
  }

  #begin(kind: number): number {
    const start = this.#end
    this.#bytes[start] = kind
    this.#end = start + RECORD_HEAD
    return start
  }

  #finish(start: number): void {
    this.#view.setUint32(start + 1, this.#end - start, true)
    this.#records++
  }

  #float(value: number): void {
    this.#view.setFloat64(this.#end, value, true)
    this.#end += 8
  }

  #count(value: number): void {
    this.#view.setUint32(this.#end, Math.min(value, UINT32), true)
    this.#end += 4
  }

  #short(text: string): void {
    const bytes = this.#text(text, this.#end + 1, LONGEST_SHORT_TEXT)
    this.#bytes[this.#end] = bytes
    this.#end += 1 + bytes
  }

  #long(text: string): void {
    const bytes = this.#text(text, this.#end + 2, LONGEST_TEXT)
    this.#view.setUint16(this.#end, bytes, true)
    this.#end += 2 + bytes
  }

  /** How many bytes were written, of whole characters. */
  #text(text: string, at: number, most: number): number {
    const { length } = text
    if (length <= SHORT) {
      const end = putAscii(this.#bytes, at, text)
      if (end >= 0) return length
    }
    return this.#bytes.write(text.slice(0, most), at, most)
  }
}
