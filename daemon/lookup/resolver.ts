/**
 * The one resolver for all that asks the DNS: a stub that trusts the name servers of this host
 * and keeps what they say. Bounded in everything: time for a question, questions at once and
 * waiting, answers kept.
 *
 * Kept: records as long as their TTL says, "there is none" as long as the zone's SOA says (RFC
 * 2308), both within limits; a failure for a few seconds. The lower limit is what lets a plugin
 * find again at once what was asked on its behalf a moment ago.
 */

import { listName } from '../policy/block-list.ts'
import type { Clock } from '../policy/clock.ts'
import type { DnsAnswer, DnsType, Resolver } from '../policy/dns.ts'
import type { MaybePromise } from '../policy/ports.ts'
import { BlockLists } from './block-lists.ts'
import { DnsCache } from './dns-cache.ts'
import { type DnsQuestion, questionName } from './dns-message.ts'
import { type NameServer, nameServers } from './dns-servers.ts'
import { type InquiryResult, inquire } from './dns-transport.ts'

export interface ResolverOptions {
  /** RES_NAMESERVERS and RES_OPTIONS, as resolvers of mtpolicyd's making read them. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  /** What an administrator should know of a block list. */
  readonly log: (message: string) => void
  /** Instead of /etc/resolv.conf. */
  readonly resolvConf?: string
}

/** For `mtpolicyctl status`. */
export interface ResolverStatus {
  readonly servers: readonly string[]
  readonly cached: number
  /** Put to name servers since start, and those of them that failed. */
  readonly questions: number
  readonly failures: number
  /** Lists that are passed over because they stayed silent. */
  readonly silent: readonly { readonly list: string; readonly until: string }[]
  /** Lists whose last answer was no listing. */
  readonly refusing: readonly { readonly list: string; readonly answer: string }[]
}

export interface OpenResolver extends Resolver {
  /** Milliseconds a question may take in all. */
  setDeadline(milliseconds: number): void
  status(): ResolverStatus
  close(): void
}

const DEADLINE_MILLISECONDS = 2000
const SHORTEST_DEADLINE = 50
const LONGEST_DEADLINE = 60_000
/** In each lane; a question holds a socket or two. */
const MOST_AT_ONCE = 100
const MOST_WAITING = 1000
const SHORTEST_KEPT = 5000
const LONGEST_KEPT = 3_600_000
const LONGEST_NOTHING_KEPT = 900_000
const FAILURE_KEPT = 5000
const FAILURE_BYTES = 100

const NO_NAME = { outcome: 'empty', records: [], exists: false } as const

/** Answers of one record type: those at hand, and those on their way. */
class Shelf<T extends DnsType> {
  readonly cache = new DnsCache<DnsAnswer<T>>()
  readonly coming = new Map<string, Promise<DnsAnswer<T>>>()
}

type Shelves = { readonly [T in DnsType]: Shelf<T> }

/** A question that waits for its turn. */
interface Waiting {
  readonly deadline: number
  begin(): void
  giveUp(): void
}

/**
 * Questions to block lists, and all others, have a lane each: a stranger whose policy names a
 * hundred silent servers must not keep his own address from being looked up.
 */
interface Lane {
  underWay: number
  readonly queue: Waiting[]
}

export function openResolver({ env, clock, log, resolvConf }: ResolverOptions): OpenResolver {
  const { elapsed } = clock
  const servers = nameServers({ env, elapsed, file: resolvConf ?? '/etc/resolv.conf' })
  const lists = new BlockLists({ clock, log })
  const shelves: Shelves = {
    A: new Shelf(),
    AAAA: new Shelf(),
    MX: new Shelf(),
    PTR: new Shelf(),
    TXT: new Shelf(),
    TLSA: new Shelf(),
    OPENPGPKEY: new Shelf(),
  }
  const running = new Set<() => void>()
  const listLane: Lane = { underWay: 0, queue: [] }
  const otherLane: Lane = { underWay: 0, queue: [] }
  let milliseconds = Math.min(DEADLINE_MILLISECONDS, servers.mostMilliseconds)
  /** The server that answered last: one that is away is not waited for each time. */
  let liked: NameServer | undefined
  let questions = 0
  let failures = 0
  let isClosed = false

  function ask<T extends DnsType>(
    name: string,
    type: T,
    list?: string,
  ): MaybePromise<DnsAnswer<T>> {
    return shelves[type].cache.get(name, elapsed()) ?? askFor(name, type, list)
  }

  /** The name is not at hand as it is written. */
  function askFor<T extends DnsType>(
    written: string,
    type: T,
    list: string | undefined,
  ): MaybePromise<DnsAnswer<T>> {
    const name = questionName(written)
    if (name === undefined) return NO_NAME
    const shelf: Shelf<T> = shelves[type]
    const known = name === written ? undefined : shelf.cache.get(name, elapsed())
    const there = known ?? shelf.coming.get(name)
    if (there !== undefined) return there
    if (isClosed) return failed('the resolver is closed')
    const lane = list === undefined ? otherLane : listLane
    if (lane.queue.length >= MOST_WAITING) return failed('too many questions at once')
    if (list !== undefined && !lists.admits(list)) {
      return failed(`${listName(list)} does not answer and is passed over`)
    }
    const answer = new Promise<DnsAnswer<T>>(resolve => {
      put(lane, { name, type }, result => {
        shelf.coming.delete(name)
        const kept = keep(shelf, name, result)
        if (list !== undefined) tell(list, type, result, kept)
        resolve(kept)
      })
    })
    shelf.coming.set(name, answer)
    return answer
  }

  /** @param done is called once, later; without a result: the question was not put to anybody. */
  function put<T extends DnsType>(
    lane: Lane,
    question: DnsQuestion<T>,
    done: (result: InquiryResult<T> | undefined) => void,
  ): void {
    const deadline = elapsed() + milliseconds
    const giveUp = (): void => done(undefined)
    const begin = (): void => {
      questions++
      lane.underWay++
      const cancel = inquire({
        question,
        servers: inOrder(),
        milliseconds: deadline - elapsed(),
        done(result) {
          running.delete(stop)
          lane.underWay--
          if (result.kind === 'answer') liked = result.server
          done(result)
          beginNext(lane)
        },
      })
      const stop = (): void => {
        cancel()
        giveUp()
      }
      running.add(stop)
    }
    if (lane.underWay < MOST_AT_ONCE) begin()
    else lane.queue.push({ deadline, begin, giveUp })
  }

  function beginNext({ queue }: Lane): void {
    let next = queue.shift()
    // With less than half of its time left, no answer would not mean that the list is silent.
    while (next && next.deadline - elapsed() < milliseconds / 2) {
      next.giveUp()
      next = queue.shift()
    }
    next?.begin()
  }

  function inOrder(): readonly NameServer[] {
    const all = servers.current()
    const first = liked ? all.indexOf(liked) : 0
    return first <= 0 ? all : [...all.slice(first), ...all.slice(0, first)]
  }

  function keep<T extends DnsType>(
    { cache }: Shelf<T>,
    name: string,
    result: InquiryResult<T> | undefined,
  ): DnsAnswer<T> {
    if (result?.kind === 'answer') {
      const { answer, ttl = 0, bytes } = result
      const longest = answer.outcome === 'found' ? LONGEST_KEPT : LONGEST_NOTHING_KEPT
      const kept = Math.min(Math.max(ttl * 1000, SHORTEST_KEPT), longest)
      cache.set(name, answer, elapsed() + kept, bytes)
      return answer
    }
    failures++
    if (result === undefined) return failed('given up: too many questions at once')
    const answer = failed(result.kind === 'silent' ? 'no answer in time' : result.problem)
    cache.set(name, answer, elapsed() + FAILURE_KEPT, FAILURE_BYTES)
    return answer
  }

  /** What a list did is remembered for its next questions. */
  function tell(
    list: string,
    type: DnsType,
    result: InquiryResult<DnsType> | undefined,
    answer: DnsAnswer<DnsType>,
  ): void {
    if (result === undefined) lists.notAsked(list)
    else if (result.kind === 'silent') lists.stayedSilent(list)
    else lists.answered(list)
    if (type !== 'A') return
    const records: readonly unknown[] = answer.records
    const addresses = records.filter(record => typeof record === 'string')
    lists.found(list, addresses)
  }

  return {
    ask,
    setDeadline(wanted) {
      const within = Math.min(Math.max(wanted, SHORTEST_DEADLINE), LONGEST_DEADLINE)
      milliseconds = Math.min(within, servers.mostMilliseconds)
    },
    status: () => ({
      servers: servers.current().map(({ address, port }) => formatServer(address, port)),
      cached: Object.values(shelves).reduce((sum, { cache }) => sum + cache.size, 0),
      questions,
      failures,
      silent: lists.silent(),
      refusing: lists.refusing(),
    }),
    close() {
      isClosed = true
      for (const { queue } of [listLane, otherLane]) {
        for (const { giveUp } of queue.splice(0)) giveUp()
      }
      for (const stop of running) stop()
      running.clear()
    },
  }
}

function failed(problem: string): { outcome: 'failed'; records: readonly []; problem: string } {
  return { outcome: 'failed', records: [], problem }
}

function formatServer(address: string, port: number): string {
  if (port === 53) return address
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
