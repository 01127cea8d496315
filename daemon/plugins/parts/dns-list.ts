/**
 * One DNS block list as RBL and DBL use it.
 *
 * A query that fails is not a listing: a list that is away stops no mail. Several lists, and several
 * queries to one, are on their way at the same time; cached answers come at once.
 *
 * A list that has been shut down may list everything there is, so that its last users notice. So
 * where several names in a row are listed, a name is looked up that no list has.
 */

import { type BlockList, describeNoListing, isListing, listName } from '../../policy/block-list.ts'
import type { Surroundings } from '../../policy/plugin.ts'
import type { DnsAnswer, Resolver } from '../../policy/ports/dns.ts'
import { type MaybePromise, whenReady } from '../../system/maybe-promise.ts'

export interface Listing {
  /** Addresses in 127.0.0.0/8 that say what for (RFC 5782). */
  readonly addresses: readonly string[]
  /** The list's explanations, in one line. */
  readonly info: string
}

/** An SMTP reply has 512 bytes (RFC 5321, 4.5.3.1.5), and the operator's text needs some. */
const LONGEST_INFO = 350
const SUSPICIOUS_IN_A_ROW = 3
/** No address, and no domain in any list of domains (RFC 5782, 5). */
const NEVER_LISTED = 'invalid'

export class DnsList {
  readonly #dns: Resolver
  readonly #list: BlockList
  #listedInARow = 0

  constructor(dns: Resolver, list: BlockList) {
    this.#dns = dns
    this.#list = list
  }

  /**
   * The listing of a name, or nothing. Explanations are looked up only for a listing.
   * @param note is told why the list could not be queried.
   */
  lookUp(name: string, note: Surroundings['note']): MaybePromise<Listing | undefined> {
    const { zone } = this.#list
    return whenReady(this.#ask(name), answer => {
      const shown = `${name}.${listName(zone)}`
      if (answer.outcome === 'failed') note(() => `${shown}: ${answer.problem}`)
      if (answer.outcome === 'empty') this.#listedInARow = 0
      const [first] = answer.records
      if (first === undefined) return undefined
      const addresses = this.#listings(answer)
      if (addresses.length === 0) {
        this.#dns.noListing(zone, first, describeNoListing(first))
        note(() => `${shown}: ${first} is not a listing`)
        return undefined
      }
      return whenReady(this.#listsEverything(), listsEverything => {
        if (!listsEverything) return this.#explained(name, addresses)
        this.#dns.noListing(zone, first, 'it lists every name')
        note(() => `${shown}: ${first} is not a listing, because the list contains every name`)
        return undefined
      })
    })
  }

  #ask(name: string): MaybePromise<DnsAnswer<'A'>> {
    const { zone } = this.#list
    return this.#dns.ask(`${name}.${zone}`, 'A', zone)
  }

  #listings({ records }: DnsAnswer<'A'>): string[] {
    return records.filter(address => isListing(address, this.#list.errorCodes))
  }

  #listsEverything(): MaybePromise<boolean> {
    this.#listedInARow++
    if (this.#listedInARow < SUSPICIOUS_IN_A_ROW) return false
    return whenReady(this.#ask(NEVER_LISTED), answer => this.#listings(answer).length > 0)
  }

  #explained(name: string, addresses: readonly string[]): MaybePromise<Listing> {
    const { zone } = this.#list
    return whenReady(this.#dns.ask(`${name}.${zone}`, 'TXT', zone), ({ records }) => {
      return { addresses, info: records.join(', ').slice(0, LONGEST_INFO) }
    })
  }
}
