/**
 * The resolver of all DNS lookups: a stub that trusts the name servers of this host and caches what
 * they say. Everything is bounded: the time for a query, queries under way and waiting, answers
 * cached.
 *
 * Records are cached as long as their TTL says, negative answers as long as the zone's SOA says (RFC
 * 2308), both within limits; failures for a few seconds. Thanks to the lower limit a plugin has at
 * once what was looked up for it in advance.
 */

import { listName } from '../policy/block-list.ts'
import type { DnsAnswer, DnsType, Resolver } from '../policy/ports/dns.ts'
import type { Clock } from '../system/clock.ts'
import { Gate } from '../system/gate.ts'
import type { MaybePromise } from '../system/maybe-promise.ts'
import { describeRefusal, type Refused } from '../system/refused.ts'
import { BlockLists } from './block-lists.ts'
import { DnsCache } from './dns-cache.ts'
import { type DnsQuestion, questionName } from './dns-message.ts'
import { type NameServer, type NameServers, nameServers } from './dns-servers.ts'
import { type InquiryResult, inquire } from './dns-transport.ts'

export interface ResolverOptions {
  /** For RES_NAMESERVERS and RES_OPTIONS, which Net::DNS, the resolver of mtpolicyd, reads. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  /** Receives what an administrator should know about a block list. */
  readonly log: (message: string) => void
  /** Instead of /etc/resolv.conf. */
  readonly resolvConf?: string
}

/** For `mtpolicyctl status`. */
export interface ResolverStatus {
  readonly servers: readonly string[]
  readonly cached: number
  /** Queries sent to name servers since the start, and those of them that failed. */
  readonly questions: number
  readonly failures: number
  /** Lists that are skipped because they did not answer. */
  readonly silent: readonly { readonly list: string; readonly until: string }[]
  /** Lists that answered with something other than a listing. */
  readonly refusing: readonly { readonly list: string; readonly answer: string }[]
}

export interface OpenResolver extends Resolver {
  /** Sets the milliseconds a query may take in all. */
  setDeadline(milliseconds: number): void
  status(): ResolverStatus
  close(): void
}

const DEADLINE_MILLISECONDS = 2000
const SHORTEST_DEADLINE = 50
const LONGEST_DEADLINE = 60_000
/** In each lane; a query holds a socket or two. */
const MOST_AT_ONCE = 100
const MOST_WAITING = 1000
const SHORTEST_KEPT = 5000
const LONGEST_KEPT = 3_600_000
const LONGEST_NOTHING_KEPT = 900_000
const FAILURE_KEPT = 5000
const FAILURE_BYTES = 100
/** Otherwise every query would have to wait for its last attempt. EDNS may work again later. */
const WITHOUT_EDNS_MILLISECONDS = 900_000

const NO_NAME = { outcome: 'empty', records: [], exists: false } as const

/** Answers of one record type: cached ones, and those on their way. */
class Shelf<T extends DnsType> {
  readonly cache = new DnsCache<DnsAnswer<T>>()
  readonly coming = new Map<string, Promise<DnsAnswer<T>>>()
}

type Shelves = { readonly [T in DnsType]: Shelf<T> }

/** How a query ended; refused: it was not sent. */
type Outcome<T extends DnsType> =
  | InquiryResult<T>
  | { readonly kind: 'not sent'; readonly why: Refused }

export function openResolver(options: ResolverOptions): OpenResolver {
  return new StubResolver(options)
}

class StubResolver implements OpenResolver {
  readonly #clock: Clock
  readonly #servers: NameServers
  readonly #lists: BlockLists
  readonly #shelves: Shelves = {
    A: new Shelf(),
    AAAA: new Shelf(),
    MX: new Shelf(),
    PTR: new Shelf(),
    TXT: new Shelf(),
    TLSA: new Shelf(),
    OPENPGPKEY: new Shelf(),
  }
  /**
   * Queries to block lists, and all others, have a lane each: a stranger whose SPF policy names a
   * hundred silent servers must not prevent the block lists from being queried about them.
   */
  readonly #listLane: Gate
  readonly #otherLane: Gate
  /** Ends each query that is under way. */
  readonly #running = new Set<() => void>()
  /** The server that answered last, so that not every query waits for one that is down. */
  #liked: NameServer | undefined
  /** Servers that answer only without EDNS, and until when they are queried without it. */
  readonly #withoutEdns = new WeakMap<NameServer, number>()
  #milliseconds: number
  #sent = 0
  #failures = 0

  constructor({ env, clock, log, resolvConf }: ResolverOptions) {
    const file = resolvConf ?? '/etc/resolv.conf'
    this.#clock = clock
    this.#servers = nameServers({ env, elapsed: clock.elapsed, file })
    this.#lists = new BlockLists({ clock, log })
    const lane = { clock, slots: MOST_AT_ONCE, waiting: MOST_WAITING }
    this.#listLane = new Gate(lane)
    this.#otherLane = new Gate(lane)
    this.#milliseconds = Math.min(DEADLINE_MILLISECONDS, this.#servers.mostMilliseconds)
  }

  ask<T extends DnsType>(name: string, type: T, list?: string): MaybePromise<DnsAnswer<T>> {
    const shelf: Shelf<T> = this.#shelves[type]
    return shelf.cache.get(name, this.#clock.elapsed()) ?? this.#askFor(name, type, list)
  }

  noListing(list: string, address: string, meaning: string): void {
    this.#lists.noListing(list, address, meaning)
  }

  setDeadline(wanted: number): void {
    const within = Math.min(Math.max(wanted, SHORTEST_DEADLINE), LONGEST_DEADLINE)
    this.#milliseconds = Math.min(within, this.#servers.mostMilliseconds)
  }

  status(): ResolverStatus {
    return {
      servers: this.#servers.current().map(({ address, port }) => formatServer(address, port)),
      cached: Object.values(this.#shelves).reduce((sum, { cache }) => sum + cache.size, 0),
      questions: this.#sent,
      failures: this.#failures,
      silent: this.#lists.silent(),
      refusing: this.#lists.refusing(),
    }
  }

  close(): void {
    this.#listLane.close()
    this.#otherLane.close()
    for (const stop of this.#running) stop()
    this.#running.clear()
  }

  /** For a name that is not in the cache as it is written. */
  #askFor<T extends DnsType>(
    written: string,
    type: T,
    list: string | undefined,
  ): MaybePromise<DnsAnswer<T>> {
    const name = questionName(written)
    if (name === undefined) return NO_NAME
    const shelf: Shelf<T> = this.#shelves[type]
    const known = name === written ? undefined : shelf.cache.get(name, this.#clock.elapsed())
    const there = known ?? shelf.coming.get(name)
    if (there !== undefined) return there
    const refused = list === undefined ? undefined : this.#lists.admit(list)
    if (refused && list !== undefined) {
      return failed(`${listName(list)} is skipped: ${describeRefusal(refused)}`)
    }
    return this.#send({ name, type }, shelf, list)
  }

  /** A refusal comes at once, all else by a promise. */
  #send<T extends DnsType>(
    question: DnsQuestion<T>,
    shelf: Shelf<T>,
    list: string | undefined,
  ): MaybePromise<DnsAnswer<T>> {
    const { name } = question
    const { promise, resolve } = Promise.withResolvers<DnsAnswer<T>>()
    let answer: DnsAnswer<T> | undefined
    this.#put(list === undefined ? this.#otherLane : this.#listLane, question, outcome => {
      shelf.coming.delete(name)
      answer = this.#keep(shelf, name, outcome)
      if (list !== undefined) this.#tell(list, outcome)
      resolve(answer)
    })
    if (answer !== undefined) return answer
    shelf.coming.set(name, promise)
    return promise
  }

  /** @param done is called once */
  #put<T extends DnsType>(
    lane: Gate,
    question: DnsQuestion<T>,
    done: (outcome: Outcome<T>) => void,
  ): void {
    const deadline = this.#clock.elapsed() + this.#milliseconds
    lane.enter({
      // With less than half of its time left, no answer would not mean that the list is silent.
      milliseconds: this.#milliseconds / 2,
      refused: why => done({ kind: 'not sent', why }),
      admitted: () =>
        this.#begin(question, deadline, outcome => {
          done(outcome)
          lane.leave()
        }),
    })
  }

  #begin<T extends DnsType>(
    question: DnsQuestion<T>,
    deadline: number,
    done: (outcome: Outcome<T>) => void,
  ): void {
    const { elapsed, after } = this.#clock
    this.#sent++
    const cancel = inquire({
      question,
      servers: this.#inOrder(),
      withoutEdns: server => (this.#withoutEdns.get(server) ?? 0) > elapsed(),
      milliseconds: deadline - elapsed(),
      after,
      done: result => {
        this.#running.delete(stop)
        if (result.kind === 'answer') this.#heardFrom(result)
        done(result)
      },
    })
    const stop = (): void => {
      cancel()
      done({ kind: 'not sent', why: { why: 'closed' } })
    }
    this.#running.add(stop)
  }

  #heardFrom({ server, edns }: { server: NameServer; edns: boolean }): void {
    const now = this.#clock.elapsed()
    this.#liked = server
    const until = this.#withoutEdns.get(server) ?? 0
    if (!edns && until <= now) this.#withoutEdns.set(server, now + WITHOUT_EDNS_MILLISECONDS)
  }

  #inOrder(): readonly NameServer[] {
    const all = this.#servers.current()
    const first = this.#liked ? all.indexOf(this.#liked) : 0
    return first <= 0 ? all : [...all.slice(first), ...all.slice(0, first)]
  }

  #keep<T extends DnsType>({ cache }: Shelf<T>, name: string, outcome: Outcome<T>): DnsAnswer<T> {
    const now = this.#clock.elapsed()
    switch (outcome.kind) {
      case 'answer': {
        const { answer, ttl = 0, bytes } = outcome
        const longest = answer.outcome === 'found' ? LONGEST_KEPT : LONGEST_NOTHING_KEPT
        const kept = Math.min(Math.max(ttl * 1000, SHORTEST_KEPT), longest)
        cache.set(name, answer, now + kept, bytes)
        return answer
      }
      case 'not sent':
        this.#failures++
        return failed(problemOf(outcome.why))
      case 'silent':
      case 'refused': {
        this.#failures++
        const problem = outcome.kind === 'silent' ? 'no answer in time' : outcome.problem
        const answer = failed(problem)
        cache.set(name, answer, now + FAILURE_KEPT, FAILURE_BYTES)
        return answer
      }
    }
  }

  /** What a list did decides on its next queries. */
  #tell(list: string, { kind }: Outcome<DnsType>): void {
    if (kind === 'not sent') this.#lists.notAsked(list)
    else if (kind === 'silent') this.#lists.stayedSilent(list)
    else this.#lists.answered(list)
  }
}

function problemOf(why: Refused): string {
  return why.why === 'closed' ? 'the resolver is closed' : describeRefusal(why)
}

function failed(problem: string): { outcome: 'failed'; records: readonly []; problem: string } {
  return { outcome: 'failed', records: [], problem }
}

function formatServer(address: string, port: number): string {
  if (port === 53) return address
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
