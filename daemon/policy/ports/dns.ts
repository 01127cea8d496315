/**
 * What policy asks the domain name system.
 *
 * "There is no such record" is an answer; a server that is silent, refuses or talks nonsense is the
 * outcome `failed`, a value like the others, because every caller has to say what it means there.
 */

import type { MaybePromise } from '../../system/maybe-promise.ts'

/** Record types (RFC 1035, 3596, 6698, 7929), and what one record of each is. */
export interface DnsRecords {
  /** Dotted. */
  readonly A: string
  /** As RFC 5952 writes it. */
  readonly AAAA: string
  /** `exchange` without the final dot; a dot alone: the domain takes no mail (RFC 7505). */
  readonly MX: { readonly preference: number; readonly exchange: string }
  /** Without the final dot. */
  readonly PTR: string
  /** The strings of one record, joined; bytes are UTF-8, or else latin1. */
  readonly TXT: string
  /** Hexadecimal. */
  readonly TLSA: string
  readonly OPENPGPKEY: string
}

export type DnsType = keyof DnsRecords

export type DnsAnswer<T extends DnsType> =
  /** At least one record, CNAMEs followed. */
  | { readonly outcome: 'found'; readonly records: readonly DnsRecords[T][] }
  /** `exists`: the name has records of other types (no NXDOMAIN). */
  | { readonly outcome: 'empty'; readonly records: readonly []; readonly exists: boolean }
  | { readonly outcome: 'failed'; readonly records: readonly []; readonly problem: string }

export interface Resolver {
  /**
   * Never throws and never rejects. What is in the cache comes at once, without a promise. A
   * query ends at the latest with the resolver's deadline. `list` names the zone of a block list:
   * while a silent one is left alone, its queries are `failed` at once.
   */
  ask<T extends DnsType>(name: string, type: T, list?: string): MaybePromise<DnsAnswer<T>>
  /** Tells the administrator that a block list answers with an address that is not a listing, and why. */
  noListing(list: string, address: string, reason: string): void
}
