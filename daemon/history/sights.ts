/**
 * What one account was seen with in a week: countries, networks and names of clients. Each has a key that is made of
 * the bytes that spool and pages have, without a detour through texts: of a country or a network of IPv4 it is a
 * number, which is found fastest, of anything else a text with its kind and then a character for each byte.
 */

import type { NumberReader } from '../memory/seven-bits.ts'
import { addressGroups, formatNetwork } from '../net/network.ts'
import type { PageWriter } from './page-writer.ts'

export type Kind = 'country' | 'network' | 'client'

const KINDS: readonly Kind[] = ['country', 'network', 'client']
const [COUNTRY, NETWORK, CLIENT] = [0, 1, 2]
/** How many of each kind, per account and week; the one that was seen the longest time ago is left out. */
const MOST_COUNTRIES = 30
const MOST_NETWORKS = 50
const MOST_CLIENTS = 20
const MOST: Readonly<Record<Kind, number>> = {
  country: MOST_COUNTRIES,
  network: MOST_NETWORKS,
  client: MOST_CLIENTS,
}

/** Below it the key of a network of IPv4, its three bytes; from it on that of a country, its two letters. */
const COUNTRIES = 2 ** 24
type Key = number | string

/** Times are milliseconds since 1970, to the second. */
interface Sight {
  readonly key: Key
  first: number
  last: number
  messages: number
}

export interface NamedSight extends Omit<Sight, 'key'> {
  /** `DE`, `192.0.2.0/24`, `mail.example.net` */
  readonly name: string
}

/** Each once. */
export class Sights {
  readonly #all = new Map<Key, Sight>()

  get all(): Iterable<Sight> {
    return this.#all.values()
  }

  add(key: Key | undefined, first: number, last: number, messages: number): void {
    if (key === undefined) return
    const known = this.#all.get(key)
    if (known) {
      if (first < known.first) known.first = first
      if (last > known.last) known.last = last
      known.messages += messages
      return
    }
    this.#all.set(key, { key, first, last, messages })
    // Not at every one: each look takes the time of all.
    if (this.#all.size > 2 * (MOST_COUNTRIES + MOST_NETWORKS + MOST_CLIENTS)) this.keepMost()
  }

  /**
   * One request of a record. `origin`: where the text with the address of the client begins, after which comes the
   * country; `name`: where that with its name does.
   */
  addOne(bytes: Buffer, origin: number, name: number, at: number, messages: number): void {
    const time = Math.floor(at / 1000) * 1000
    const country = origin + 1 + bytes.readUInt8(origin)
    this.add(keyOf(COUNTRY, bytes, country), time, time, messages)
    this.add(networkKey(bytes, origin + 1, country), time, time, messages)
    const client = keyOf(CLIENT, bytes, name)
    if (client !== UNKNOWN_CLIENT) this.add(client, time, time, messages)
  }

  /** Leaves out what is above MOST. */
  keepMost(): void {
    if (this.#all.size <= MOST_CLIENTS) return
    for (const kind of KINDS) {
      for (const { key } of this.#of(kind).slice(MOST[kind])) this.#all.delete(key)
    }
  }

  /** The last one first. */
  of(kind: Kind): NamedSight[] {
    return this.#of(kind).map(({ key, first, last, messages }) => {
      return { name: nameOf(key), first, last, messages }
    })
  }

  #of(kind: Kind): Sight[] {
    // Within one second the one that came later is first.
    return [...this.#all.values()]
      .filter(one => KINDS[kindOf(one.key)] === kind)
      .reverse()
      .sort((one, other) => other.last - one.last)
  }
}

/** Reads an entry of a page. `since`: the beginning of its week. Throws RangeError if it is not one. */
export function readSight(
  bytes: Buffer,
  reader: NumberReader,
  since: number,
  sights: Sights,
): void {
  const kind = reader.next()
  if (!KINDS[kind]) throw new RangeError('an entry of no kind')
  const length = reader.next()
  const name = reader.at
  reader.skip(length)
  const first = since + reader.next() * 1000
  const last = first + reader.next() * 1000
  sights.add(keyOfPart(kind, bytes, name, name + length), first, last, reader.next())
}

/** Writes such an entry. */
export function writeSight({ key, first, last, messages }: Sight, since: number, to: PageWriter) {
  to.number(kindOf(key))
  if (typeof key === 'string') {
    to.number(key.length - 1)
    for (let i = 1; i < key.length; i++) to.byte(key.charCodeAt(i))
  } else {
    to.number(key < COUNTRIES ? 3 : 2)
    if (key < COUNTRIES) to.byte(key >>> 16)
    to.byte((key >>> 8) & 255)
    to.byte(key & 255)
  }
  // If the clock was set back meanwhile, a message may have begun in the week after.
  to.number(Math.max(0, first - since) / 1000)
  to.number((last - first) / 1000)
  to.number(messages)
}

/** The key of a text with its length before it; undefined: the text is empty. */
function keyOf(kind: number, bytes: Buffer, at: number): Key | undefined {
  return keyOfPart(kind, bytes, at + 1, at + 1 + bytes.readUInt8(at))
}

function keyOfPart(kind: number, bytes: Buffer, from: number, end: number): Key | undefined {
  const length = end - from
  if (length === 0) return undefined
  const low = bytes.readUInt8(end - 1)
  if (kind === COUNTRY && length === 2) return COUNTRIES + bytes.readUInt8(from) * 256 + low
  if (kind === NETWORK && length === 3) return bytes.readUInt16BE(from) * 256 + low
  return String.fromCharCode(kind) + bytes.toString('latin1', from, end)
}

const UNKNOWN_CLIENT = `${String.fromCharCode(CLIENT)}unknown`

/** The key of the network of an address: 24 bits of IPv4, 64 of IPv6; undefined: it is not an address. */
function networkKey(bytes: Buffer, from: number, end: number): Key | undefined {
  const network = ipv4Network(bytes, from, end)
  if (network >= 0) return network
  const groups = addressGroups(bytes.toString('latin1', from, end))
  if (!groups) return undefined
  const [high = 0, low = 0] = groups
  if (groups.length === 2) return high * 256 + (low >>> 8)
  const halves = groups.slice(0, 4).flatMap(group => [group >>> 8, group & 255])
  return String.fromCharCode(NETWORK, ...halves)
}

/** The first three bytes of an address as Postfix writes it; -1: it is none of IPv4. */
function ipv4Network(bytes: Buffer, from: number, end: number): number {
  let address = 0
  let octet = -1
  let dots = 0
  for (let at = from; at < end; at++) {
    const digit = (bytes[at] ?? 0) - 48
    if (digit >= 0 && digit <= 9) {
      // As inet_pton, without leading zeros.
      if (octet === 0) return -1
      octet = octet < 0 ? digit : octet * 10 + digit
      if (octet > 255) return -1
    } else {
      if (digit !== -2 || octet < 0) return -1
      if (dots < 3) address = address * 256 + octet
      dots++
      octet = -1
    }
  }
  return dots === 3 && octet >= 0 ? address : -1
}

function kindOf(key: Key): number {
  if (typeof key === 'string') return key.charCodeAt(0)
  return key < COUNTRIES ? NETWORK : COUNTRY
}

function nameOf(key: Key): string {
  if (typeof key === 'number') {
    const [high, middle, low] = [key >>> 16, (key >>> 8) & 255, key & 255]
    if (key >= COUNTRIES) return String.fromCharCode(middle, low)
    return formatNetwork({ groups: [high * 256 + middle, low * 256], bits: 24 })
  }
  const bytes = Buffer.from(key.slice(1), 'latin1')
  if (kindOf(key) !== NETWORK) return bytes.toString()
  const all = Buffer.alloc(16)
  bytes.copy(all)
  const groups = Array.from({ length: 8 }, (_, i) => all.readUInt16BE(i * 2))
  return formatNetwork({ groups, bits: 64 })
}
