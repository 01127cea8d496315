/**
 * Which country is an address in, from a file that may change under us.
 *
 * The file (.mmdb, or MaxMind's legacy .dat; told apart by content) is read whole, verified, and
 * only then put in place of the one before. A file that is damaged, of another type or gone is
 * refused with one log line, and what was loaded stays in use: `state` says so. A file that was never
 * readable makes every lookup a LookupError until a good one appears, so that a plugin fails
 * aloud and the chain goes on.
 *
 * Changes are found by polling identity, size and time of the file, which survives every way of
 * replacing it; `reload()` looks at once. Verifying takes some 20 ms per 8 MB; while the daemon is
 * at work that is done in small steps.
 * Any number of databases can be open side by side; nothing is shared.
 */

import { closeSync, fstatSync, openSync, readFileSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { canonicalAddress, parseIPv4 } from '../policy/address.ts'
import { describeError, LookupError } from '../policy/errors.ts'
import { ownText } from '../policy/own-text.ts'
import type { CountryTable } from './country-table.ts'
import { isDat, readDat } from './geoip-dat.ts'
import { isMmdb, readMmdb, readMmdbAtOnce } from './geoip-mmdb.ts'

const POLL_MILLISECONDS = 2000
/** Far above any database sold; a mistaken path must not fill the memory. */
const LARGEST_BYTES = 1024 ** 3
const DAY_MILLISECONDS = 86_400_000
/** Addresses whose country is kept: whoever sends mail sends more than one. */
const MOST_KNOWN = 10_000

export interface CountryDatabaseOptions {
  readonly path: string
  readonly log: (event: string, fields: Record<string, unknown>) => void
  /** 0 never polls. */
  readonly pollMilliseconds?: number
}

export interface CountryDatabaseState {
  /** `current`: the file as it lies there; `stale`: an older one, see `problem`; `absent`: none was ever readable. */
  readonly status: 'current' | 'stale' | 'absent'
  readonly problem: string | undefined
  readonly format: 'mmdb' | 'dat' | undefined
  readonly description: string | undefined
  readonly failedLookups: number
}

export interface CountryDatabase {
  readonly path: string
  /** The date of the data in use; undefined if nothing is loaded or the file states none. */
  readonly builtAt: Date | undefined
  readonly state: CountryDatabaseState
  /** The code as the database has it (also EU, AP, ??); undefined: not known, or not an address. Throws only LookupError. */
  country(address: string): string | undefined
  ageDays(now: Date): number | undefined
  /** Reads the file again, changed or not; false if it was refused. */
  reload(): boolean
  close(): void
}

export function openCountryDatabase(options: CountryDatabaseOptions): CountryDatabase {
  const { path, log, pollMilliseconds = POLL_MILLISECONDS } = options
  let table: CountryTable | undefined
  let problem: string | undefined
  let identity: string | undefined
  let failedLookups = 0
  let failureLogged = false

  /** An IPv4 address is known by its number: that is found sooner than a text. */
  const known = new Map<number | string, string>()

  const use = (found: CountryTable): true => {
    table = found
    known.clear()
    problem = undefined
    failureLogged = false
    log('geoip_loaded', { path, format: found.format, builtAt: found.builtAt?.toISOString() })
    return true
  }
  const refuse = (error: unknown): false => {
    problem = describeError(error)
    log('geoip_refused', { path, problem, inUse: table?.builtAt?.toISOString() ?? 'nothing' })
    return false
  }

  const reload = (): boolean => {
    // Taken before reading: a change in between is then found by the next poll.
    identity = identityOf(path)
    try {
      const file = readWhole(path)
      return use(isLegacy(file) ? readDat(file) : readMmdbAtOnce(file))
    } catch (error) {
      return refuse(error)
    }
  }

  /** As `reload`, a little at a time: requests do not wait for it. */
  const reloadSlowly = async (): Promise<void> => {
    identity = identityOf(path)
    try {
      const file = await readWholeSlowly(path)
      if (isLegacy(file)) return void use(readDat(file))
      const reading = readMmdb(file)
      for (let step = reading.next(); ; step = reading.next()) {
        if (step.done) return void use(step.value)
        await new Promise(resolve => setImmediate(resolve))
      }
    } catch (error) {
      refuse(error)
    }
  }

  let isReading = false
  const poll = (): void => {
    if (isReading || identityOf(path) === identity) return
    isReading = true
    void reloadSlowly().finally(() => {
      isReading = false
    })
  }

  reload()
  const timer = pollMilliseconds > 0 ? setInterval(poll, pollMilliseconds).unref() : undefined

  return {
    path,
    get builtAt() {
      return table?.builtAt
    },
    get state(): CountryDatabaseState {
      return {
        status: table === undefined ? 'absent' : problem === undefined ? 'current' : 'stale',
        problem,
        format: table?.format,
        description: table?.description,
        failedLookups,
      }
    },
    country(address) {
      const ipv4 = parseIPv4(address)
      // Of 32 bits with a sign: V8 keeps these in place.
      const before = known.get(ipv4 === undefined ? address : ipv4 | 0)
      if (before !== undefined) return before
      if (table === undefined) throw new LookupError(`no GeoIP database: ${path}: ${problem}`)
      const canonical = canonicalAddress(address)
      if (canonical === undefined) return undefined
      try {
        const country = table.country(canonical)
        if (country === undefined) return undefined
        if (known.size >= MOST_KNOWN) known.clear()
        known.set(ipv4 === undefined ? ownText(address) : ipv4 | 0, country)
        return country
      } catch (cause) {
        failedLookups++
        const message = `${path}: ${describeError(cause)}`
        if (!failureLogged)
          log('geoip_lookup_failed', { path, address: canonical, problem: message })
        failureLogged = true
        throw new LookupError(message, { cause })
      }
    },
    ageDays(now) {
      const builtAt = table?.builtAt
      return builtAt && Math.floor((now.getTime() - builtAt.getTime()) / DAY_MILLISECONDS)
    },
    reload,
    close() {
      clearInterval(timer)
    },
  }
}

function isLegacy(file: Buffer): boolean {
  return !isMmdb(file) && isDat(file)
}

function readWhole(path: string): Buffer {
  // Asked before opening: opening a FIFO waits for its other end.
  if (!statSync(path).isFile()) throw new Error('not a regular file')
  const descriptor = openSync(path, 'r')
  try {
    if (fstatSync(descriptor).size > LARGEST_BYTES) throw new Error('larger than 1 GiB')
    return readFileSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

async function readWholeSlowly(path: string): Promise<Buffer> {
  if (!statSync(path).isFile()) throw new Error('not a regular file')
  const file = await open(path, 'r')
  try {
    if ((await file.stat()).size > LARGEST_BYTES) throw new Error('larger than 1 GiB')
    return await file.readFile()
  } finally {
    await file.close()
  }
}

/** Undefined for a file that cannot be looked at. */
function identityOf(path: string): string | undefined {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join(':')
  } catch {
    return undefined
  }
}
