/**
 * Where 256 neighbouring accounts were seen in one week, as bytes: countries, networks and names of clients. For
 * each account, in the order of their numbers: the distance from the one before, the length of the rest, and its
 * entries: kind, length and bytes of the name, when it was seen first (seconds from the week's beginning), how
 * many seconds later it was seen last, accepted messages. A network is its bits: 3 bytes of IPv4, 8 of IPv6.
 */

import { addressGroups, formatNetwork, withoutHostBits } from '../net/network.ts'
import type { PageWriter } from './page-writer.ts'

export const WEEK = 7 * 86_400_000
/** Accounts of a page. */
export const SEEN_ACCOUNTS = 256
/** Pages that a week can have. */
const WEEK_PAGES = 8192

/** The key of the page that an account is in; `week`: weeks since 1970. */
export const weekKey = (week: number, account: number): number =>
  week * WEEK_PAGES + Math.floor(account / SEEN_ACCOUNTS)

export type Kind = 'country' | 'network' | 'client'

const KINDS: readonly Kind[] = ['country', 'network', 'client']
/** How many of each kind, per account and week; the one that was seen the longest time ago is left out. */
const MOST_COUNTRIES = 30
const MOST_NETWORKS = 50
const MOST_CLIENTS = 20
export const MOST: Readonly<Record<Kind, number>> = {
  country: MOST_COUNTRIES,
  network: MOST_NETWORKS,
  client: MOST_CLIENTS,
}

/** Times are milliseconds since 1970, to the second. */
export interface Sight {
  readonly kind: Kind
  readonly name: string
  first: number
  last: number
  messages: number
}

/** What one account was seen with, each once. */
export class Sights {
  readonly #all = new Map<string, Sight>()
  /** The request before: often the next one comes from there as well. */
  #before: { client: string; country: string; clientName: string; sights: Sight[] } | undefined

  get all(): Iterable<Sight> {
    return this.#all.values()
  }

  get isEmpty(): boolean {
    return this.#all.size === 0
  }

  /** Undefined: an empty name. */
  add(kind: Kind, name: string, first: number, last: number, messages: number): Sight | undefined {
    if (name === '') return undefined
    const key = `${kind}${name}`
    const known = this.#all.get(key)
    if (!known) {
      const sight = { kind, name, first, last, messages }
      this.#all.set(key, sight)
      // Not at every one: each look takes the time of all.
      if (this.#all.size > 2 * (MOST_COUNTRIES + MOST_NETWORKS + MOST_CLIENTS)) this.keepMost()
      return sight
    }
    addTo(known, first, last, messages)
    return known
  }

  /** One request: `client`: address, `clientName`: `unknown` is none. */
  addOne(at: number, country: string, client: string, clientName: string, messages: number): void {
    const time = Math.floor(at / 1000) * 1000
    const before = this.#before
    if (
      before?.client === client &&
      before.country === country &&
      before.clientName === clientName
    ) {
      for (const one of before.sights) addTo(one, time, time, messages)
      return
    }
    const sights = [
      this.add('country', country, time, time, messages),
      this.add('network', networkOf(client), time, time, messages),
      this.add('client', clientName === 'unknown' ? '' : clientName, time, time, messages),
    ].filter(one => one !== undefined)
    this.#before = { client, country, clientName, sights }
  }

  /** Leaves out what is above MOST. */
  keepMost(): void {
    if (this.#all.size <= MOST_CLIENTS) return
    this.#before = undefined
    for (const kind of KINDS) {
      for (const one of this.of(kind).slice(MOST[kind])) this.#all.delete(`${kind}${one.name}`)
    }
  }

  /** The last one first. */
  of(kind: Kind): Sight[] {
    // Within one second the one that came later is first.
    return [...this.#all.values()]
      .reverse()
      .filter(one => one.kind === kind)
      .toSorted((one, other) => other.last - one.last)
  }
}

function addTo(sight: Sight, first: number, last: number, messages: number): void {
  sight.first = Math.min(sight.first, first)
  sight.last = Math.max(sight.last, last)
  sight.messages += messages
}

/** `192.0.2.0/24`, or /64 of IPv6; empty: it is not an address. */
function networkOf(client: string): string {
  const groups = addressGroups(client)
  return groups
    ? formatNetwork(withoutHostBits({ groups, bits: groups.length === 2 ? 24 : 64 }))
    : ''
}

/** The bytes of each account's entries. Throws RangeError if it is not such a page. */
export function readSeenPage(page: Buffer, first: number): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  let account = first
  for (let at = 0; at < page.length; ) {
    const [distance, afterDistance] = numberAt(page, at)
    const [length, from] = numberAt(page, afterDistance)
    if (from + length > page.length) throw new RangeError('a page is cut off')
    account += distance
    found.set(account, page.subarray(from, from + length))
    at = from + length
  }
  return found
}

/** Entries by account, in any order. Undefined: there are none. */
export function seenPage(
  entries: ReadonlyMap<number, Buffer>,
  first: number,
  writer: PageWriter,
): Buffer | undefined {
  writer.clear()
  let last = first
  for (const [account, bytes] of [...entries].toSorted(([one], [other]) => one - other)) {
    writer.number(account - last)
    writer.number(bytes.length)
    writer.copy(bytes, 0, bytes.length)
    last = account
  }
  return writer.length === 0 ? undefined : writer.page()
}

/** Adds what is in an account's entries. `since`: the beginning of their week. */
export function readSights(bytes: Buffer, since: number, sights: Sights): void {
  for (let at = 0; at < bytes.length; ) {
    const [kind, afterKind] = numberAt(bytes, at)
    const [length, from] = numberAt(bytes, afterKind)
    const name = bytes.subarray(from, from + length)
    const [first, afterFirst] = numberAt(bytes, from + length)
    const [more, afterLast] = numberAt(bytes, afterFirst)
    const [messages, end] = numberAt(bytes, afterLast)
    const start = since + first * 1000
    const what = KINDS[kind]
    if (!what) throw new RangeError('an entry of no kind')
    const text = what === 'network' ? networkText(name) : name.toString()
    sights.add(what, text, start, start + more * 1000, messages)
    at = end
  }
}

export function sightBytes(sights: Sights, since: number, writer: PageWriter): Buffer {
  sights.keepMost()
  writer.clear()
  for (const { kind, name, first, last, messages } of sights.all) {
    const bytes = kind === 'network' ? networkBytes(name) : Buffer.from(name)
    writer.number(KINDS.indexOf(kind))
    writer.number(bytes.length)
    writer.copy(bytes, 0, bytes.length)
    // If the clock was set back meanwhile, a message may have begun in the week after.
    writer.number(Math.max(0, first - since) / 1000)
    writer.number((last - first) / 1000)
    writer.number(messages)
  }
  return writer.page()
}

function networkBytes(text: string): Buffer {
  const groups = addressGroups(text.slice(0, text.indexOf('/'))) ?? []
  const bytes = Buffer.alloc(16)
  for (const [i, group] of groups.entries()) bytes.writeUInt16BE(group, i * 2)
  return bytes.subarray(0, groups.length === 2 ? 3 : 8)
}

function networkText(bytes: Buffer): string {
  const all = Buffer.alloc(bytes.length === 3 ? 4 : 16)
  bytes.copy(all)
  const groups = Array.from({ length: all.length / 2 }, (_, i) => all.readUInt16BE(i * 2))
  return formatNetwork({ groups, bits: bytes.length * 8 })
}

/** The number at a place, and where it ends. */
export function numberAt(bytes: Buffer, from: number): [value: number, end: number] {
  const first = bytes[from] ?? 128
  if (first < 128) return [first, from + 1]
  let value = 0
  let at = from
  for (let unit = 1; unit < 2 ** 50; unit *= 128) {
    const byte = bytes[at++]
    if (byte === undefined) break
    value += (byte & 127) * unit
    if (byte < 128) return [value, at]
  }
  throw new RangeError('a number is cut off')
}
