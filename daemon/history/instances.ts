/**
 * Messages that were accepted of late, by Postfix's instance, so that each is counted once: however often it is
 * asked about, at DATA and at END-OF-MESSAGE or once per recipient. The last one replaces what was counted
 * before. 262,144 messages are remembered.
 */

import { hashOf } from '../memory/name.ts'

const MOST_INSTANCES = 2 ** 18

export class Instances {
  readonly #seed: number
  /** Places by the hash of 53 bits: one in a hundred thousand million is taken for another. */
  readonly #places = new Map<number, number>()
  readonly #keys = new Float64Array(MOST_INSTANCES)
  readonly accounts = new Uint32Array(MOST_INSTANCES)
  readonly hours = new Uint32Array(MOST_INSTANCES)
  readonly recipients = new Float64Array(MOST_INSTANCES)
  readonly bytes = new Float64Array(MOST_INSTANCES)
  /** Of STAGES. */
  readonly stages = new Uint8Array(MOST_INSTANCES)
  /** Which portion the message is in, and where: it can be changed there until it is written. */
  readonly portions = new Uint32Array(MOST_INSTANCES)
  readonly items = new Uint32Array(MOST_INSTANCES)
  #next = 0

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
    return key === 0 ? -1 : (this.#places.get(key) ?? -1)
  }

  /** The place of a message that was not known, in place of the oldest one. */
  add(key: number): number {
    const place = this.#next
    this.#next = (place + 1) % MOST_INSTANCES
    const before = this.#keys[place] ?? 0
    if (before !== 0) this.#places.delete(before)
    this.#keys[place] = key
    this.#places.set(key, place)
    return place
  }

  remove(place: number): void {
    this.#places.delete(this.#keys[place] ?? 0)
    this.#keys[place] = 0
  }

  removeOf(account: number): void {
    for (const place of this.#places.values()) {
      if (this.accounts[place] === account) this.remove(place)
    }
  }
}
