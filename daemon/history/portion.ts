/**
 * A portion of the spool: what was read of it and is not in the file yet. Each verdict is an item; its texts
 * stay in the bytes that were read.
 */

import type { Gap } from '../policy/ports/history.ts'
import type { SpoolPlace } from './spool-files.ts'

/** Bytes of one reading of the spool, at most: an item's place is the reading times this, plus where it is. */
export const READING_BYTES = 2 ** 21
/** The place of an item that only changes sums. */
export const NOWHERE = -1

/** A refusal by what it is looked up by. */
export interface NewRefusal {
  readonly account: number
  readonly at: number
  readonly code: string
  readonly queueId: string
  readonly instance: string
  /** The whole record. */
  readonly record: Buffer
  /** The record EXPLAINED. */
  steps: Buffer | undefined
}

const EMPTY = Buffer.alloc(0)

export class Portion {
  /** From 1. */
  readonly number: number
  readonly readings: Buffer[] = []
  #byteLength = 0
  #count = 0
  accounts = new Uint32Array(1024)
  hours = new Uint32Array(1024)
  /** 1; 0: a refusal, or nothing any more; -1: a message that an earlier portion has was not accepted in the end. */
  messages = new Int8Array(1024)
  refused = new Uint8Array(1024)
  recipients = new Float64Array(1024)
  bytes = new Float64Array(1024)
  /** Where the message is in the readings, or NOWHERE. */
  places = new Float64Array(1024)
  /** How many bytes it has. */
  lengths = new Uint32Array(1024)
  /** When it was, milliseconds since 1970. */
  times = new Float64Array(1024)
  /** Where the name of the client is. */
  names = new Float64Array(1024)
  readonly refusals: NewRefusal[] = []
  /** Steps of refusals of an earlier portion, by their code. */
  readonly steps = new Map<string, Buffer>()
  readonly gaps: Gap[] = []
  /** Keys of the messages that were counted or changed, the last one last. */
  readonly touched: number[] = []
  /** The page of `instances-kept.ts`, once the portion is to be written. */
  instances: Buffer = EMPTY
  readonly newAccounts: number[] = []
  /** Verdicts of accounts that were too many. */
  strangers = 0
  /** Up to here the spool was read. */
  end: SpoolPlace

  constructor(number: number, from: SpoolPlace) {
    this.number = number
    this.end = from
  }

  get count(): number {
    return this.#count
  }

  /** Bytes of the spool that it holds in memory. */
  get byteLength(): number {
    return this.#byteLength
  }

  hold(reading: Buffer): number {
    this.#byteLength += reading.length
    return this.readings.push(reading) - 1
  }

  add(
    account: number,
    hour: number,
    messages: number,
    recipients: number,
    refused: number,
    bytes: number,
    place: number,
    length: number,
    time: number,
    name: number,
  ): number {
    const item = this.#count++
    if (item === this.accounts.length) this.#grow(item * 2)
    this.accounts[item] = account
    this.hours[item] = hour
    this.messages[item] = messages
    this.recipients[item] = recipients
    this.refused[item] = refused
    this.bytes[item] = bytes
    this.places[item] = place
    this.lengths[item] = length
    this.times[item] = time
    this.names[item] = name
    return item
  }

  /** The reading that a place is in. */
  readingOf(place: number): Buffer {
    return this.readings[Math.floor(place / READING_BYTES)] ?? EMPTY
  }

  #grow(length: number): void {
    this.accounts = moved(this.accounts, new Uint32Array(length))
    this.hours = moved(this.hours, new Uint32Array(length))
    this.messages = moved(this.messages, new Int8Array(length))
    this.refused = moved(this.refused, new Uint8Array(length))
    this.recipients = moved(this.recipients, new Float64Array(length))
    this.bytes = moved(this.bytes, new Float64Array(length))
    this.places = moved(this.places, new Float64Array(length))
    this.lengths = moved(this.lengths, new Uint32Array(length))
    this.times = moved(this.times, new Float64Array(length))
    this.names = moved(this.names, new Float64Array(length))
  }
}

/** Where a place is in its reading. */
export const inReading = (place: number): number => place % READING_BYTES

function moved<T extends Uint8Array | Int8Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from)
  return to
}
