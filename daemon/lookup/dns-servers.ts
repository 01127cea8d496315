/**
 * Which name servers are queried, and for how long at most.
 *
 * As with the resolver of mtpolicyd, RES_NAMESERVERS (addresses separated by spaces or commas) and
 * RES_OPTIONS (`port:N retry:N retrans:N`) in the environment take precedence. Next are the
 * `nameserver` lines of /etc/resolv.conf, which is read again when it changes; its other lines are
 * ignored. The last resort is this host.
 */

import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'

export interface NameServer {
  readonly address: string
  readonly port: number
}

export interface NameServers {
  /** At least one. Checks the file for changes now and then. */
  current(): readonly NameServer[]
  /** Milliseconds that RES_OPTIONS allow for a query. */
  readonly mostMilliseconds: number
}

export interface NameServerOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Milliseconds, monotonic. */
  readonly elapsed: () => number
  readonly file: string
}

const DNS_PORT = 53
/** Further ones are ignored (resolv.conf(5) allows 3). */
const MOST_SERVERS = 8
const LOOK_AGAIN_MILLISECONDS = 5000
/** The defaults of Net::DNS where RES_OPTIONS sets only one of the two; seconds. */
const RETRANS = 5
const RETRY = 4

export function nameServers({ env, elapsed, file }: NameServerOptions): NameServers {
  const options = numbersOf(env.RES_OPTIONS ?? '')
  const named = options.get('port') ?? DNS_PORT
  const port = named > 0 && named < 65_536 ? named : DNS_PORT
  const fromEnvironment = usable((env.RES_NAMESERVERS ?? '').split(/[\s,]+/), port)
  const local = [{ address: '127.0.0.1', port }]
  let fromFile: readonly NameServer[] = []
  let lookedAt = Number.NEGATIVE_INFINITY
  let seen = ''

  function lookAtFile(): void {
    try {
      const { mtimeMs, size, ino } = statSync(file)
      const state = `${mtimeMs} ${size} ${ino}`
      if (state === seen) return
      fromFile = usable(nameserverLines(readFileSync(file, 'utf8')), port)
      seen = state
    } catch {
      // Being replaced, or missing: the servers known so far stay in use.
    }
  }

  return {
    mostMilliseconds: waitOf(options),
    current() {
      if (fromEnvironment.length > 0) return fromEnvironment
      if (elapsed() - lookedAt >= LOOK_AGAIN_MILLISECONDS) {
        lookedAt = elapsed()
        lookAtFile()
      }
      return fromFile.length > 0 ? fromFile : local
    },
  }
}

/** `NAME:NUMBER`, separated by spaces; anything else is ignored. */
function numbersOf(text: string): ReadonlyMap<string, number> {
  const found = [...text.matchAll(/(?<!\S)(\w+):(\d+)(?!\S)/g)]
  return new Map(found.map(([, name = '', digits]) => [name, Number(digits)]))
}

/** Net::DNS doubles its timeout with each of `retry` rounds. */
function waitOf(options: ReadonlyMap<string, number>): number {
  const retrans = options.get('retrans')
  const retry = options.get('retry')
  if (retrans === undefined && retry === undefined) return Infinity
  return 1000 * (retrans ?? RETRANS) * (2 ** (retry ?? RETRY) - 1) || Infinity
}

function nameserverLines(text: string): string[] {
  return text.split('\n').flatMap(line => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? [])
}

function usable(words: readonly string[], port: number): NameServer[] {
  return words
    .map(word => word.replace(/^\[(.*)\]$/, '$1'))
    .filter(address => isIP(address) !== 0)
    .slice(0, MOST_SERVERS)
    .map(address => ({ address, port }))
}
