/**
 * Which messages have been judged, and how: the last 50,000 to 100,000, whatever the clock says.
 *
 * Two generations instead of an expiry per message: when the younger one is full it becomes the older
 * one, and the older one is dropped. A message is identified by its account and instance; another
 * account with the same instance is another message, whatever made it so. It can be found by its queue
 * id as well; that is rare, so there is no table of them, but a hash of each is looked through. All of it
 * is bytes outside of V8's heap.
 */

import { Name } from '../memory/name.ts'
import { NameTable } from '../memory/name-table.ts'
import { accountOf, type Decided, type Entry } from './decided.ts'
import { PackedEntries } from './packed-entries.ts'
import type { CountingPeriod, Periods } from './period.ts'

/** Messages that are known at least, also after a restart. */
export const REMEMBERED = 50_000

/** Preallocated per message, so that nothing is moved while mail waits; untouched pages take no memory. */
const [NAME_BYTES, PACKED_BYTES] = [90, 96]

const [ACCEPTED, FINAL] = [1, 2]

class Generation {
  readonly #names: NameTable
  /** Memory that the names of ordinary messages take. */
  readonly #usualBytes: number
  readonly #flags = new Uint8Array(REMEMBERED)
  readonly #at = new Float64Array(REMEMBERED)
  #refusers: string[] = []
  readonly #refusedBy = new Uint16Array(REMEMBERED)
  /** Hash of each message's queue id. */
  readonly #queues = new Uint32Array(REMEMBERED)
  /** How many judgements came before each message's last one. */
  readonly #turns = new Float64Array(REMEMBERED)
  #judgements = 0
  readonly #packed = new PackedEntries(REMEMBERED * PACKED_BYTES)
  /** Where queue id and entries of each message begin, and how many bytes they may have there. */
  readonly #starts = new Uint32Array(REMEMBERED)
  readonly #rooms = new Uint32Array(REMEMBERED)

  constructor(seed: number) {
    this.#names = new NameTable(seed, REMEMBERED, REMEMBERED * NAME_BYTES)
    this.#usualBytes = this.#names.byteLength
  }

  /** True if it has taken more memory than ordinary messages need. */
  get hasGrown(): boolean {
    return this.#packed.hasGrown || this.#names.byteLength > this.#usualBytes
  }

  /** Drops all messages. The memory is used again: allocating as much would trigger garbage collections. */
  clear(): void {
    this.#names.clear()
    this.#refusers = []
    this.#packed.clear()
    this.#rooms.fill(0)
  }

  get isFull(): boolean {
    return this.#names.count >= REMEMBERED
  }

  /** `message`: the key that the name was made of. */
  find(name: Name, message: string): Decided | undefined {
    const number = this.#names.find(name)
    return number < 0 ? undefined : this.#decided(number, message)
  }

  /** The message that was judged last with this queue id. */
  queued(queue: string): string | undefined {
    const hash = hashOf(queue)
    const before = (number: number): number =>
      number > 0 ? this.#queues.lastIndexOf(hash, number - 1) : -1
    let last = -1
    for (let number = before(this.#names.count); number >= 0; number = before(number)) {
      const isLater = last < 0 || (this.#turns[number] ?? 0) > (this.#turns[last] ?? 0)
      if (isLater && this.#queueOf(number) === queue) last = number
    }
    return last < 0 ? undefined : this.#names.nameOf(last)
  }

  *all(): Iterable<readonly [message: string, decided: Decided]> {
    for (let number = 0; number < this.#names.count; number++) {
      const message = this.#names.nameOf(number)
      yield [message, this.#decided(number, message)]
    }
  }

  moveTo(periods: Periods): void {
    this.#packed.moveTo(periods)
  }

  #decided(number: number, message: string): Decided {
    const flags = this.#flags[number] ?? 0
    const accepted = (flags & ACCEPTED) !== 0
    return {
      accepted,
      refusedBy: accepted ? '' : (this.#refusers[this.#refusedBy[number] ?? 0] ?? ''),
      stage: (flags & FINAL) !== 0 ? 'END-OF-MESSAGE' : 'DATA',
      at: this.#at[number] ?? 0,
      queue: this.#queueOf(number),
      entries: this.#packed.entriesAt(this.#starts[number] ?? 0, accountOf(message)),
    }
  }

  #queueOf(number: number): string {
    return this.#packed.queueAt(this.#starts[number] ?? 0)
  }

  set(name: Name, decided: Decided, account: string): void {
    let number = this.#names.find(name)
    if (number < 0) number = this.#names.add(name)
    const { accepted, stage } = decided
    this.#flags[number] = (accepted ? ACCEPTED : 0) | (stage === 'END-OF-MESSAGE' ? FINAL : 0)
    this.#at[number] = decided.at
    if (!accepted) this.#refusedBy[number] = this.#refuser(decided.refusedBy)
    this.#queues[number] = hashOf(decided.queue)
    this.#turns[number] = this.#judgements++
    this.#keep(number, decided, account)
  }

  #refuser(counter: string): number {
    const known = this.#refusers.indexOf(counter)
    return known < 0 ? this.#refusers.push(counter) - 1 : known
  }

  /** Keeps queue id and entries where the message had its former ones, if there is room. */
  #keep(number: number, { queue, entries }: Decided, account: string): void {
    const packed = this.#packed
    const start = packed.end
    packed.add(queue, entries, account)
    const length = packed.end - start
    if (length <= (this.#rooms[number] ?? 0)) packed.moveBack(start, this.#starts[number] ?? 0)
    else {
      this.#starts[number] = start
      this.#rooms[number] = length
    }
  }
}

/** FNV-1a of its characters; two queue ids with the same hash are compared. */
function hashOf(queue: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < queue.length; i++) hash = Math.imul(hash ^ queue.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

export class DecidedMessages {
  readonly #seed = Math.trunc(Math.random() * 0x1_0000_0000)
  #younger = new Generation(this.#seed)
  #older: Generation | undefined
  /** Filled again and again, so that a look-up allocates nothing. */
  readonly #name = new Name(this.#seed)
  /** The key that `#name` has the bytes of. */
  #named = ''

  /** `message`: its key. */
  find(message: string): Decided | undefined {
    this.#named = message
    const name = this.#name.of(message)
    return this.#younger.find(name, message) ?? this.#older?.find(name, message)
  }

  /** The key of the newest message with this `queueKey`. */
  findQueued(queue: string): string | undefined {
    if (queue === '') return undefined
    return this.#younger.queued(queue) ?? this.#older?.queued(queue)
  }

  /** `account`: the message's, which its key ends with. */
  remember(message: string, account: string, decided: Decided): void {
    // Usually it was looked up just before; comparing the very same text takes no time.
    if (message !== this.#named) {
      this.#named = message
      this.#name.of(message)
    }
    this.#put(decided, account)
  }

  /** `message`: its key in UTF-8, from an earlier run of the process. */
  recall(message: Uint8Array, decided: Decided): void {
    this.#named = ''
    this.#name.ofBytes(message)
    const { buffer, byteOffset, byteLength } = message
    this.#put(decided, accountOf(Buffer.from(buffer, byteOffset, byteLength).toString()))
  }

  /** All that are known, oldest first. */
  *all(): Iterable<readonly [message: string, decided: Decided]> {
    // Both at once: what is decided meanwhile may exchange them.
    for (const generation of [this.#older, this.#younger]) yield* generation?.all() ?? []
  }

  /**
   * Whatever messages have counted for a subject in a period counts as nothing from now on. Passes on each
   * message that is changed, and how it is known now.
   */
  *withoutAmounts(
    period: CountingPeriod,
    subject: string,
  ): Iterable<readonly [message: string, decided: Decided]> {
    const counted = (entry: Entry): boolean =>
      entry.period === period && entry.subject === subject && entry.amount > 0
    for (const generation of [this.#younger, this.#older]) {
      for (const [message, decided] of generation?.all() ?? []) {
        if (!decided.entries.some(counted)) continue
        this.#named = message
        const name = this.#name.of(message)
        // What it was before is still in the older generation.
        if (generation !== this.#younger && this.#younger.find(name, message)) continue
        const entries = decided.entries.map(entry =>
          counted(entry) ? { ...entry, amount: 0 } : entry,
        )
        // Told again, it must not be taken for the newest with its queue id.
        const queue = this.findQueued(decided.queue) === message ? decided.queue : ''
        const changed = { ...decided, queue, entries }
        generation?.set(name, changed, accountOf(message))
        yield [message, changed]
      }
    }
  }

  /** From now on, entries are in these periods. */
  moveTo(periods: Periods): void {
    this.#older?.moveTo(periods)
    this.#younger.moveTo(periods)
  }

  #put(decided: Decided, account: string): void {
    if (this.#younger.isFull) {
      const oldest = this.#older
      this.#older = this.#younger
      if (oldest && !oldest.hasGrown) {
        oldest.clear()
        this.#younger = oldest
      } else this.#younger = new Generation(this.#seed)
    }
    this.#younger.set(this.#name, decided, account)
  }
}
