/**
 * The country of an address, from a file that may change at any time.
 *
 * The file (.mmdb, or MaxMind's legacy .dat; told apart by content) is read completely and verified
 * before it replaces the previous one. A file that is damaged, of another type or missing is refused
 * with one log line, and the previous one stays in use, which `state` reports. As long as there has
 * not been a readable file, every lookup throws LookupError, so that a plugin fails visibly and the
 * chain continues.
 *
 * Changes are detected by polling identity, size and time of the file, which works for every way of
 * replacing it; `reload()` does not wait for that. Verifying takes some 20 ms per 8 MB; in a running
 * daemon it is done in small steps.
 *
 * An IPv6 address that carries an IPv4 address (6to4, Teredo, NAT64) is in the country of that
 * address, whatever the database says about the prefix of the relay or translator.
 */

import { closeSync, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { ownText } from '../memory/own-text.ts'
import { canonicalAddress, embeddedIPv4, parseIPv4 } from '../net/address.ts'
import { describeError, LookupError } from '../system/errors.ts'
import type { CountryTable } from './country-table.ts'
import { isDat, readDat } from './geoip-dat.ts'
import { isMmdb, readMmdb, readMmdbAtOnce } from './geoip-mmdb.ts'

const POLL_MILLISECONDS = 2000
/** Far more than any database on sale; a wrong path must not exhaust memory. */
const LARGEST_BYTES = 1024 ** 3
/** By its end a database is known; more than its metadata. */
const END_BYTES = 256 * 1024
const DAY_MILLISECONDS = 86_400_000
/** Addresses whose country is cached: clients send more than one mail. */
const MOST_KNOWN = 10_000

export interface CountryDatabaseOptions {
  readonly path: string
  readonly log: (event: string, fields: Record<string, unknown>) => void
  /** 0 never polls. */
  readonly pollMilliseconds?: number
}

export interface CountryDatabaseState {
  /** `current`: the file as it is on disk; `stale`: an older one, see `problem`; `absent`: none was readable so far. */
  readonly status: 'current' | 'stale' | 'absent'
  readonly problem: string | undefined
  readonly format: 'mmdb' | 'dat' | undefined
  readonly description: string | undefined
  /** Lookups that failed since the file was loaded. */
  readonly failedLookups: number
}

export interface CountryDatabase {
  readonly path: string
  /** The date of the data in use; undefined if nothing is loaded or the file states none. */
  readonly builtAt: Date | undefined
  readonly state: CountryDatabaseState
  /** The code in the database (also EU, AP, ??); undefined: unknown, or not an address. Throws only LookupError. */
  country(address: string): string | undefined
  ageDays(now: Date): number | undefined
  /** Reads the file again, changed or not; false if it was refused. */
  reload(): boolean
  close(): void
}

export function openCountryDatabase(options: CountryDatabaseOptions): CountryDatabase {
  return new CountryFile(options)
}

class CountryFile implements CountryDatabase {
  readonly path: string
  readonly #log: CountryDatabaseOptions['log']
  readonly #timer: NodeJS.Timeout | undefined
  #table: CountryTable | undefined
  /** Why the file as it is now is not in use. */
  #problem: string | undefined
  /** The identity of the file that was read last. */
  #identity: string | undefined
  #isReading = false
  #failedLookups = 0
  /** IPv4 addresses are keys as numbers, which are found faster than texts. */
  readonly #known = new Map<number | string, string>()

  constructor({ path, log, pollMilliseconds = POLL_MILLISECONDS }: CountryDatabaseOptions) {
    this.path = path
    this.#log = log
    this.reload()
    if (pollMilliseconds > 0) {
      this.#timer = setInterval(() => this.#poll(), pollMilliseconds).unref()
    }
  }

  get builtAt(): Date | undefined {
    return this.#table?.builtAt
  }

  get state(): CountryDatabaseState {
    const isCurrent = this.#problem === undefined
    return {
      status: this.#table === undefined ? 'absent' : isCurrent ? 'current' : 'stale',
      problem: this.#problem,
      format: this.#table?.format,
      description: this.#table?.description,
      failedLookups: this.#failedLookups,
    }
  }

  country(address: string): string | undefined {
    const ipv4 = parseIPv4(address)
    // As a signed 32-bit number, which V8 does not have to allocate.
    const before = this.#known.get(ipv4 === undefined ? address : ipv4 | 0)
    if (before !== undefined) return before
    const table = this.#table
    if (table === undefined) {
      throw new LookupError(`no GeoIP database: ${this.path}: ${this.#problem}`)
    }
    const canonical = canonicalAddress(address)
    if (canonical === undefined) return undefined
    try {
      const country = table.country(embeddedIPv4(canonical) ?? canonical)
      if (country === undefined) return undefined
      if (this.#known.size >= MOST_KNOWN) this.#known.clear()
      this.#known.set(ipv4 === undefined ? ownText(address) : ipv4 | 0, country)
      return country
    } catch (cause) {
      throw this.#lookupFailed(canonical, cause)
    }
  }

  ageDays(now: Date): number | undefined {
    const { builtAt } = this
    return builtAt && Math.floor((now.getTime() - builtAt.getTime()) / DAY_MILLISECONDS)
  }

  reload(): boolean {
    // Determined before reading, so that the next poll notices a change in between.
    this.#identity = identityOf(this.path)
    try {
      const file = readWhole(this.path)
      return this.#use(isLegacy(file) ? readDat(file) : readMmdbAtOnce(file))
    } catch (error) {
      return this.#refuse(error)
    }
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #poll(): void {
    if (this.#isReading || identityOf(this.path) === this.#identity) return
    this.#isReading = true
    void this.#reloadSlowly().finally(() => {
      this.#isReading = false
    })
  }

  /** Like `reload`, in small steps, so that requests do not have to wait. */
  async #reloadSlowly(): Promise<void> {
    this.#identity = identityOf(this.path)
    try {
      const file = await readWholeSlowly(this.path)
      if (isLegacy(file)) return void this.#use(readDat(file))
      const reading = readMmdb(file)
      for (let step = reading.next(); ; step = reading.next()) {
        if (step.done) return void this.#use(step.value)
        await new Promise(resolve => setImmediate(resolve))
      }
    } catch (error) {
      this.#refuse(error)
    }
  }

  #use(found: CountryTable): true {
    this.#table = found
    this.#known.clear()
    this.#problem = undefined
    this.#failedLookups = 0
    const { format, builtAt } = found
    this.#log('geoip_loaded', { path: this.path, format, builtAt: builtAt?.toISOString() })
    return true
  }

  #refuse(error: unknown): false {
    const problem = describeError(error)
    const inUse = this.builtAt?.toISOString() ?? 'nothing'
    this.#problem = problem
    this.#log('geoip_refused', { path: this.path, problem, inUse })
    return false
  }

  /** Logged once for each file. */
  #lookupFailed(address: string, cause: unknown): LookupError {
    const problem = `${this.path}: ${describeError(cause)}`
    if (this.#failedLookups === 0) {
      this.#log('geoip_lookup_failed', { path: this.path, address, problem })
    }
    this.#failedLookups++
    return new LookupError(problem, { cause })
  }
}

function isLegacy(file: Buffer): boolean {
  return !isMmdb(file) && isDat(file)
}

/** The end alone, if that is not one of a database: any file may be named, such as a large log. */
function readWhole(path: string): Buffer {
  // Checked before opening, because opening a FIFO waits for its other end.
  if (!statSync(path).isFile()) throw new Error('not a regular file')
  const descriptor = openSync(path, 'r')
  try {
    const { size } = fstatSync(descriptor)
    const end = Buffer.alloc(endBytes(size))
    readSync(descriptor, end, 0, end.length, size - end.length)
    return isWhole(end, size) ? end : readFileSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

async function readWholeSlowly(path: string): Promise<Buffer> {
  if (!statSync(path).isFile()) throw new Error('not a regular file')
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const end = Buffer.alloc(endBytes(size))
    await file.read(end, 0, end.length, size - end.length)
    return isWhole(end, size) ? end : await file.readFile()
  } finally {
    await file.close()
  }
}

/** What the kernel makes up as it is read, as below /proc, has the size 0, and perhaps no end: it counts as empty. */
function endBytes(size: number): number {
  if (size > LARGEST_BYTES) throw new Error('larger than 1 GiB')
  return Math.min(size, END_BYTES)
}

/** Is no more needed of the file? */
function isWhole(end: Buffer, size: number): boolean {
  return end.length === size || !(isMmdb(end) || isDat(end))
}

/** Undefined if there is no such file. */
function identityOf(path: string): string | undefined {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join(':')
  } catch {
    return undefined
  }
}
