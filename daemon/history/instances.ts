/**
 * Messages that were accepted of late, by Postfix's instance, so that each is counted once: however often it is
 * asked about, at DATA and at END-OF-MESSAGE or once per recipient. The last one replaces what was counted
 * before.
 *
 * The key selects one of many rows of eight places; a new message takes the place of the oldest one there. Some
 * 262,144 messages are remembered.
 */

import { hashOf } from '../memory/name.ts'

const MOST_INSTANCES = 2 ** 18
const ROW = 8

export class Instances {
  readonly #seed: number
  /** 53 bits of a hash: one in a hundred thousand million messages is taken for another. */
  readonly #keys = new Float64Array(MOST_INSTANCES)
  /** Which place of each row is the oldest. */
  readonly #oldest = new Uint8Array(MOST_INSTANCES / ROW)
  readonly accounts = new Uint32Array(MOST_INSTANCES)
  readonly hours = new Uint32Array(MOST_INSTANCES)
  readonly recipients = new Float64Array(MOST_INSTANCES)
  readonly bytes = new Float64Array(MOST_INSTANCES)
  /** Indexes of STAGES. */
  readonly stages = new Uint8Array(MOST_INSTANCES)
  /** Which portion the message is in, and where: it can be changed there until it is written. */
  readonly portions = new Uint32Array(MOST_INSTANCES)
  readonly items = new Uint32Array(MOST_INSTANCES)

  /** How many places there are. */
  get size(): number {
    return MOST_INSTANCES
  }

  constructor(seed: number) {
    this.#seed = seed
  }

  /** 0: an empty instance is not remembered. */
  keyOf(bytes: Uint8Array, from: number, end: number, account: number): number {
    if (from === end) return 0
    const one = hashOf(bytes, from, end, this.#seed ^ account)
    const other = hashOf(bytes, from, end, ~this.#seed ^ account)
    return (one & 0x1fffff) * 2 ** 32 + other + 1
  }

  /** The place of a message, or -1. */
  find(key: number): number {
    if (key === 0) return -1
    const first = rowOf(key)
    for (let place = first; place < first + ROW; place++) {
      if (this.#keys[place] === key) return place
    }
    return -1
  }

  /** The place of a message that was not known, instead of the oldest one of its row. */
  add(key: number): number {
    const first = rowOf(key)
    const oldest = this.#oldest[first / ROW] ?? 0
    this.#oldest[first / ROW] = (oldest + 1) % ROW
    this.#keys[first + oldest] = key
    return first + oldest
  }

  remove(place: number): void {
    this.#keys[place] = 0
  }

  removeOf(account: number): void {
    for (let place = 0; place < MOST_INSTANCES; place++) {
      if (this.accounts[place] === account) this.remove(place)
    }
  }
}

/** The first place of a key's row. */
function rowOf(key: number): number {
  return (key % (MOST_INSTANCES / ROW)) * ROW
}
