/**
 * What one account was seen with in a week: countries, networks and names of clients. A few arrays of numbers, used
 * again for one account after the other: with objects and texts, a portion of the spool would take twice the time.
 */

import { NumberReader } from '../memory/seven-bits.ts'
import { addressGroups } from '../net/network.ts'
import type { PageWriter } from './page-writer.ts'
import {
  CLIENT,
  COUNTRIES,
  COUNTRY,
  HASHES,
  ipv4Network,
  KINDS,
  type Kind,
  keyOf,
  kindOf,
  NETWORK,
  nameOf,
} from './sight-key.ts'

/** How many of each kind, per account and week; the one that was seen the longest time ago is left out. */
const MOST_COUNTRIES = 30
const MOST_NETWORKS = 50
const MOST_CLIENTS = 20
const KEPT = [MOST_COUNTRIES, MOST_NETWORKS, MOST_CLIENTS] as const
/** Not at every one: what is above is left out when there are as many again. */
const ROOM = 2 * (MOST_COUNTRIES + MOST_NETWORKS + MOST_CLIENTS)
const SLOTS = 512
/** The kind where there is nothing, or nothing any more. */
const NONE = 255

/** Times are milliseconds since 1970, to the second. */
export interface Sight {
  /** `DE`, `192.0.2.0/24`, `mail.example.net` */
  readonly name: string
  readonly first: number
  readonly last: number
  /** That were accepted. */
  readonly messages: number
}

/** Each once. */
export class Sights {
  #count = 0
  readonly #keys = new Float64Array(ROOM + 1)
  /** Bytes of those that have a hash for a key, a character for each. */
  readonly #texts: string[] = new Array(ROOM + 1).fill('')
  /** NONE where there is nothing. */
  readonly #kinds = new Uint8Array(ROOM + 1).fill(NONE)
  readonly #first = new Float64Array(ROOM + 1)
  readonly #last = new Float64Array(ROOM + 1)
  readonly #messages = new Float64Array(ROOM + 1)
  readonly #ofKind = new Uint16Array(KINDS.length)
  /** The place of a sight + 1 is in the slot that its key selects, or in one of the next; 0: none. */
  readonly #slots = new Uint16Array(SLOTS)

  clear(): void {
    this.#count = 0
    this.#kinds.fill(NONE)
    this.#ofKind.fill(0)
    this.#slots.fill(0)
  }

  /**
   * One request of a record. `origin`: where the text with the address of the client begins, after which comes the
   * country; `name`: where that with its name does.
   */
  addOne(bytes: Buffer, origin: number, name: number, at: number, messages: number): void {
    const time = Math.floor(at / 1000) * 1000
    const country = origin + 1 + (bytes[origin] ?? 0)
    const countryEnd = country + 1 + (bytes[country] ?? 0)
    this.#add(COUNTRY, bytes, country + 1, countryEnd, time, time, messages)
    this.#addNetwork(bytes, origin + 1, country, time, messages)
    const nameEnd = name + 1 + (bytes[name] ?? 0)
    if (isUnknown(bytes, name + 1, nameEnd)) return
    this.#add(CLIENT, bytes, name + 1, nameEnd, time, time, messages)
  }

  /** Adds what is between two places of a page. `since`: the beginning of its week. Throws RangeError. */
  read(bytes: Buffer, from: number, end: number, since: number): void {
    const reader = new NumberReader(bytes, from, end)
    while (!reader.isAtEnd) {
      const kind = reader.next()
      if (!KINDS[kind]) throw new RangeError('an entry of no kind')
      const length = reader.next()
      const name = reader.at
      reader.skip(length)
      const first = since + reader.next() * 1000
      const last = first + reader.next() * 1000
      this.#add(kind, bytes, name, name + length, first, last, reader.next())
    }
  }

  /** Writes what `read` reads. */
  write(since: number, to: PageWriter): void {
    this.keepMost()
    for (let place = 0; place < this.#count; place++) {
      const key = this.#keys[place] ?? 0
      to.number(this.#kinds[place] ?? 0)
      if (key >= HASHES) {
        const text = this.#texts[place] ?? ''
        to.number(text.length)
        for (let i = 0; i < text.length; i++) to.byte(text.charCodeAt(i))
      } else {
        to.number(key < COUNTRIES ? 3 : 2)
        if (key < COUNTRIES) to.byte(key >>> 16)
        to.byte((key >>> 8) & 255)
        to.byte(key & 255)
      }
      const first = this.#first[place] ?? 0
      // If the clock was set back meanwhile, a message may have begun in the week after.
      to.number(Math.max(0, first - since) / 1000)
      to.number(((this.#last[place] ?? 0) - first) / 1000)
      to.number(this.#messages[place] ?? 0)
    }
  }

  /** Leaves out what is above KEPT. */
  keepMost(): void {
    const count = this.#count
    for (let kind = 0; kind < KINDS.length; kind++) {
      for (let left = (this.#ofKind[kind] ?? 0) - (KEPT[kind] ?? 0); left > 0; left--) {
        this.#kinds[this.#oldest(kind)] = NONE
        this.#count--
      }
    }
    if (this.#count < count) this.#closeGaps(count)
  }

  /** The last one first. */
  of(kind: Kind): Sight[] {
    const found: Sight[] = []
    // Within one second the one that came later is first.
    for (let place = this.#count - 1; place >= 0; place--) {
      const key = this.#keys[place] ?? 0
      if (KINDS[this.#kinds[place] ?? NONE] !== kind) continue
      const [first = 0, last = 0] = [this.#first[place], this.#last[place]]
      const name = nameOf(key, this.#texts[place] ?? '')
      found.push({ name, first, last, messages: this.#messages[place] ?? 0 })
    }
    return found.sort((one, other) => other.last - one.last)
  }

  #addNetwork(bytes: Buffer, from: number, end: number, time: number, messages: number): void {
    const key = ipv4Network(bytes, from, end)
    if (key >= 0) {
      this.#put(this.#find(key, bytes, 0, 0), key, time, time, messages)
      return
    }
    const groups = addressGroups(bytes.toString('latin1', from, end))
    if (!groups) return
    const network = groups
      .flatMap(group => [group >>> 8, group & 255])
      .slice(0, groups.length === 2 ? 3 : 8)
    this.#add(NETWORK, Buffer.from(network), 0, network.length, time, time, messages)
  }

  #add(
    kind: number,
    bytes: Buffer,
    from: number,
    end: number,
    first: number,
    last: number,
    messages: number,
  ): void {
    if (from === end) return
    const key = keyOf(kind, bytes, from, end)
    const place = this.#find(key, bytes, from, end)
    if (place < 0 && key >= HASHES) {
      this.#texts[this.#count] = bytes.toString('latin1', from, end)
    }
    this.#put(place, key, first, last, messages)
  }

  /** Its place, or -1. */
  #find(key: number, bytes: Buffer, from: number, end: number): number {
    for (let slot = slotOf(key); ; slot = (slot + 1) % SLOTS) {
      const place = (this.#slots[slot] ?? 0) - 1
      if (place < 0) return -1
      if (this.#keys[place] !== key) continue
      if (key < HASHES || isText(this.#texts[place] ?? '', bytes, from, end)) return place
    }
  }

  /** `known`: its place, or -1; then it gets the next one. */
  #put(known: number, key: number, first: number, last: number, messages: number): void {
    if (known >= 0) {
      this.#first[known] = Math.min(this.#first[known] ?? 0, first)
      this.#last[known] = Math.max(this.#last[known] ?? 0, last)
      this.#messages[known] = (this.#messages[known] ?? 0) + messages
      return
    }
    const place = this.#count++
    this.#keys[place] = key
    this.#first[place] = first
    this.#last[place] = last
    this.#messages[place] = messages
    const kind = kindOf(key)
    this.#kinds[place] = kind
    this.#ofKind[kind] = (this.#ofKind[kind] ?? 0) + 1
    this.#enter(place)
    if (this.#count > ROOM) this.keepMost()
  }

  #enter(place: number): void {
    let slot = slotOf(this.#keys[place] ?? 0)
    while (this.#slots[slot] !== 0) slot = (slot + 1) % SLOTS
    this.#slots[slot] = place + 1
  }

  /** The place of what was seen the longest time ago; there is one. */
  #oldest(kind: number): number {
    let oldest = 0
    let least = Number.POSITIVE_INFINITY
    const [kinds, lasts] = [this.#kinds, this.#last]
    for (let place = 0; place < kinds.length; place++) {
      if (kinds[place] !== kind) continue
      const last = lasts[place] ?? 0
      if (last >= least) continue
      least = last
      oldest = place
    }
    return oldest
  }

  /** `count`: how many there were, with those that have no kind any more. */
  #closeGaps(count: number): void {
    this.#count = 0
    this.#ofKind.fill(0)
    this.#slots.fill(0)
    for (let place = 0; place < count; place++) {
      const kind = this.#kinds[place] ?? NONE
      if (kind === NONE) continue
      const to = this.#count++
      for (const array of [this.#keys, this.#first, this.#last, this.#messages]) {
        array[to] = array[place] ?? 0
      }
      this.#texts[to] = this.#texts[place] ?? ''
      this.#kinds[to] = kind
      this.#ofKind[kind] = (this.#ofKind[kind] ?? 0) + 1
      this.#enter(to)
    }
    this.#kinds.fill(NONE, this.#count)
  }
}

const slotOf = (key: number): number => Math.imul(key, 0x9e3779b1) >>> 23

function isText(text: string, bytes: Buffer, from: number, end: number): boolean {
  if (text.length !== end - from) return false
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[from + i]) return false
  return true
}

/** What Postfix says of a client without a name. */
const isUnknown = (bytes: Buffer, from: number, end: number): boolean =>
  isText('unknown', bytes, from, end)
