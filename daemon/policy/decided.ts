/**
 * Which messages have been judged, and how: the last 50,000 to 100,000, whatever a clock says.
 *
 * Two generations instead of an expiry per message: when the younger one is full, it becomes the
 * older one, and the older one forgets all. A message is known by its counter, account and
 * instance; another account under the same instance is another message, whatever made it so.
 */

import { Name } from './name.ts'
import { NameTable } from './name-table.ts'

/** How a message was judged. */
export interface Decided {
  readonly day: string
  readonly accepted: boolean
  readonly counted: number
  readonly stage: 'DATA' | 'END-OF-MESSAGE'
  /** Milliseconds since 1970. */
  readonly at: number
}

/** What is known of a message. */
export type Known = Omit<Decided, 'at'>

/** So many are known at least, also after a restart. */
export const REMEMBERED = 50_000

/** Room that is set aside at once, so that nothing is moved while mail waits; untouched, it is no memory. */
const NAME_BYTES = 90

const [ACCEPTED, FINAL] = [1, 2]

class Generation {
  readonly #names: NameTable
  /** Memory of the names of usual messages. */
  readonly #usualBytes: number
  readonly #counted = new Float64Array(REMEMBERED)
  readonly #flags = new Uint8Array(REMEMBERED)
  #days: string[] = []
  readonly #dayOf = new Uint16Array(REMEMBERED)

  constructor(seed: number) {
    this.#names = new NameTable(seed, REMEMBERED, REMEMBERED * NAME_BYTES)
    this.#usualBytes = this.#names.byteLength
  }

  /** Has it taken more memory than usual messages need? */
  get hasGrown(): boolean {
    return this.#names.byteLength > this.#usualBytes
  }

  /** Forgets all. The room is used again: that much new memory would be a reason to collect garbage. */
  beginAnew(): void {
    this.#names.clear()
    this.#days = []
  }

  get isFull(): boolean {
    return this.#names.count >= REMEMBERED
  }

  find(name: Name): Known | undefined {
    const number = this.#names.find(name)
    return number < 0 ? undefined : this.#known(number)
  }

  *all(): Iterable<readonly [message: Uint8Array, known: Known]> {
    for (let number = 0; number < this.#names.count; number++) {
      yield [this.#names.bytesOf(number), this.#known(number)]
    }
  }

  #known(number: number): Known {
    const flags = this.#flags[number] ?? 0
    return {
      day: this.#days[this.#dayOf[number] ?? 0] ?? '',
      accepted: (flags & ACCEPTED) !== 0,
      counted: this.#counted[number] ?? 0,
      stage: (flags & FINAL) !== 0 ? 'END-OF-MESSAGE' : 'DATA',
    }
  }

  set(name: Name, { accepted, counted, stage, day }: Known): void {
    let number = this.#names.find(name)
    if (number < 0) number = this.#names.add(name)
    this.#flags[number] = (accepted ? ACCEPTED : 0) | (stage === 'END-OF-MESSAGE' ? FINAL : 0)
    this.#counted[number] = counted
    let place = this.#days.lastIndexOf(day)
    if (place < 0) place = this.#days.push(day) - 1
    this.#dayOf[number] = place
  }
}

export class DecidedMessages {
  readonly #seed = Math.trunc(Math.random() * 0x1_0000_0000)
  #younger = new Generation(this.#seed)
  #older: Generation | undefined
  readonly #name = new Name(this.#seed)

  /** The name of a message, valid until the next is asked for. */
  named(scope: string, account: string, instance: string): Name {
    // Instance and account have no line feed; an operator's name for a counter may have one.
    return this.#name.of(`${instance}\n${scope}\n${account}`)
  }

  find(message: Name): Known | undefined {
    return this.#younger.find(message) ?? this.#older?.find(message)
  }

  remember(message: Name, decided: Decided): void {
    if (this.#younger.isFull) {
      const oldest = this.#older
      this.#older = this.#younger
      if (oldest && !oldest.hasGrown) {
        oldest.beginAnew()
        this.#younger = oldest
      } else this.#younger = new Generation(this.#seed)
    }
    this.#younger.set(message, decided)
  }

  /** All that are known, oldest first; each name is valid until the next. */
  *all(): Iterable<readonly [message: Name, known: Known]> {
    for (const generation of [this.#older, this.#younger]) {
      for (const [bytes, known] of generation?.all() ?? []) yield [this.#name.ofBytes(bytes), known]
    }
  }

  /** `message`: the bytes of its name, from whatever life of the process. */
  recall(message: Uint8Array, decided: Decided): void {
    this.remember(this.#name.ofBytes(message), decided)
  }
}
