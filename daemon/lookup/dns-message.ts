/**
 * Queries and answers of the DNS as bytes (RFC 1035, EDNS0 of RFC 6891), each with a single entry in the question section.
 *
 * Answers are not trusted: whatever the bytes are, reading them is bounded, yields a Reading and
 * never throws. A name server is believed only about the name in question: records of other names
 * count if CNAMEs lead there.
 */

import { isUtf8 } from 'node:buffer'
import {
  type Answer,
  type DecodedPacket,
  decode,
  encode,
  RECURSION_DESIRED,
  type RecordType,
} from 'dns-packet'
import { formatIPv6, parseIPv4, parseIPv6 } from '../net/address.ts'
import type { DnsAnswer, DnsRecords, DnsType } from '../policy/ports/dns.ts'
import { type Sifted, sift } from './dns-sift.ts'

export interface DnsQuestion<T extends DnsType = DnsType> {
  /** A result of questionName. */
  readonly name: string
  readonly type: T
}

/** What a message means as the answer to a query. */
export type Reading<T extends DnsType = DnsType> =
  /** Not an answer to this query: forged, late or nonsense. */
  | { readonly kind: 'stray' }
  /** Too long for UDP. */
  | { readonly kind: 'truncated' }
  /** The server refuses or fails to answer. */
  | { readonly kind: 'refused'; readonly problem: string; readonly knowsEdns: boolean }
  /** `ttl` in seconds, undefined if the server does not state one. */
  | { readonly kind: 'answer'; readonly answer: DnsAnswer<T>; readonly ttl: number | undefined }

/** The largest message that no network fragments (DNS flag day 2020). */
const UDP_BYTES = 1232
const HEADER_BYTES = 12
const MOST_CNAMES = 16
const MOST_RECORDS = 256
const LONGEST_LABEL = 63
const LONGEST_NAME = 253

const TRUNCATED = 0x0200

/** Response codes (RFC 1035, 4.1.1; RFC 6891, 9) by number. */
const RCODES: Readonly<Record<number, string>> = {
  1: 'FORMERR',
  2: 'SERVFAIL',
  3: 'NXDOMAIN',
  4: 'NOTIMP',
  5: 'REFUSED',
  16: 'BADVERS',
}
const NXDOMAIN = 3
/** FORMERR and NOTIMP come from servers older than EDNS, BADVERS from one without our version of it. */
const WITHOUT_EDNS: readonly number[] = [1, 4, 16]

/** The library has no name for type 61, and its types do not allow a number. */
const OPENPGPKEY = 'UNKNOWN_61' as RecordType
const ASKED_AS: Readonly<Record<DnsType, RecordType>> = {
  A: 'A',
  AAAA: 'AAAA',
  MX: 'MX',
  PTR: 'PTR',
  TXT: 'TXT',
  TLSA: 'TLSA',
  OPENPGPKEY,
}

const TYPE_NUMBERS: Readonly<Record<DnsType, number>> = {
  A: 1,
  AAAA: 28,
  MX: 15,
  PTR: 12,
  TXT: 16,
  TLSA: 52,
  OPENPGPKEY: 61,
}
const CNAME = 5
const SOA = 6

/**
 * The canonical spelling of a name: lower case, without the final dot. Undefined for a name that
 * cannot be put into a query. Labels may have any visible ASCII character: block lists are queried
 * for whatever a client sends.
 */
export function questionName(name: string): string | undefined {
  const bare = name.endsWith('.') ? name.slice(0, -1) : name
  if (bare.length === 0 || bare.length > LONGEST_NAME || !/^[!-~]+$/.test(bare)) return undefined
  for (let start = 0; start <= bare.length; ) {
    const dot = bare.indexOf('.', start)
    const end = dot < 0 ? bare.length : dot
    if (end === start || end - start > LONGEST_LABEL) return undefined
    start = end + 1
  }
  return bare.toLowerCase()
}

export function questionBytes({ name, type }: DnsQuestion, id: number, edns: boolean): Buffer {
  return encode({
    type: 'query',
    id,
    flags: RECURSION_DESIRED,
    questions: [{ name, type: ASKED_AS[type] }],
    additionals: edns
      ? [
          {
            type: 'OPT',
            name: '.',
            udpPayloadSize: UDP_BYTES,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ]
      : [],
  })
}

export function readReply<T extends DnsType>(
  bytes: Buffer,
  question: DnsQuestion<T>,
  id: number,
): Reading<T> {
  if (bytes.length < HEADER_BYTES || bytes.readUInt16BE(0) !== id) return { kind: 'stray' }
  const flags = bytes.readUInt16BE(2)
  if ((flags & 0x8000) === 0) return { kind: 'stray' }
  const rcode = flags & 0xf
  if (bytes.readUInt16BE(4) === 0) {
    // A server that did not understand the query need not repeat the question section.
    const sifted = sift(bytes, [])
    const code = upperBits(sifted) + rcode
    return code === 0 ? { kind: 'stray' } : refused(code, sifted)
  }
  if (!repeats(bytes, question)) return { kind: 'stray' }
  // A message that was cut need not be readable.
  if ((flags & TRUNCATED) !== 0) return { kind: 'truncated' }
  const sifted = sift(bytes, [TYPE_NUMBERS[question.type], CNAME, SOA])
  const message = sifted && decoded(sifted.bytes)
  const code = upperBits(sifted) + rcode
  if (code === NXDOMAIN) {
    const answer = { outcome: 'empty', records: [], exists: false } as const
    return { kind: 'answer', answer, ttl: message && negativeTtl(message) }
  }
  if (code !== 0) return refused(code, sifted)
  return message ? readAnswer(message, question) : unreadable
}

function upperBits(sifted: Sifted | undefined): number {
  return (sifted?.upperRcode ?? 0) * 16
}

/** Does it repeat our question section? Checked before anything else is read: anybody may send anything. */
function repeats(bytes: Buffer, question: DnsQuestion): boolean {
  if (bytes.readUInt16BE(4) !== 1) return false
  const ours = questionBytes(question, 0, false).subarray(HEADER_BYTES)
  const theirs = bytes.subarray(HEADER_BYTES, HEADER_BYTES + ours.length)
  // The lengths of labels and the numbers of types are not capital letters.
  return theirs.toString('latin1').toLowerCase() === ours.toString('latin1').toLowerCase()
}

function refused(rcode: number, sifted: Sifted | undefined): Reading<never> {
  const problem = RCODES[rcode] ?? `code ${rcode}`
  const knowsEdns = sifted?.upperRcode !== undefined && !WITHOUT_EDNS.includes(rcode)
  return { kind: 'refused', problem, knowsEdns }
}

const unreadable: Reading<never> = {
  kind: 'refused',
  problem: 'an answer that cannot be read',
  knowsEdns: true,
}

/** Undefined if it is not a message. */
function decoded(bytes: Buffer): DecodedPacket | undefined {
  try {
    return decode(bytes)
  } catch {
    return undefined
  }
}

function readAnswer<T extends DnsType>(
  message: DecodedPacket,
  { name, type }: DnsQuestion<T>,
): Reading<T> {
  const answers = message.answers ?? []
  let owner = name
  let ttl = Infinity
  for (let i = 0; i < MOST_CNAMES; i++) {
    const alias = answers.find(
      record => record.type === 'CNAME' && record.name.toLowerCase() === owner,
    )
    if (alias?.type !== 'CNAME') break
    owner = alias.data.toLowerCase()
    ttl = Math.min(ttl, alias.ttl ?? 0)
  }
  const records: DnsRecords[T][] = []
  for (const record of answers) {
    if (record.type === 'OPT' || record.type !== ASKED_AS[type]) continue
    if (record.name.toLowerCase() !== owner) continue
    const value = READERS[type](record)
    if (value === undefined) continue
    records.push(value)
    ttl = Math.min(ttl, record.ttl ?? 0)
    if (records.length === MOST_RECORDS) break
  }
  return records.length > 0
    ? { kind: 'answer', answer: { outcome: 'found', records }, ttl }
    : {
        kind: 'answer',
        answer: { outcome: 'empty', records: [], exists: true },
        ttl: negativeTtl(message),
      }
}

/** How long a negative answer may be cached (RFC 2308, 5). */
function negativeTtl(message: DecodedPacket): number | undefined {
  const soa = message.authorities?.find(record => record.type === 'SOA')
  if (soa?.type !== 'SOA') return undefined
  return Math.min(soa.ttl ?? 0, soa.data.minimum ?? 0)
}

/** The value of a record; undefined if it is malformed. */
const READERS: { readonly [T in DnsType]: (record: Answer) => DnsRecords[T] | undefined } = {
  A: record =>
    record.type === 'A' && parseIPv4(record.data) !== undefined ? record.data : undefined,
  AAAA(record) {
    const groups = record.type === 'AAAA' ? parseIPv6(record.data) : undefined
    return groups && formatIPv6(groups)
  },
  MX: record =>
    record.type === 'MX'
      ? { preference: record.data.preference ?? 0, exchange: record.data.exchange }
      : undefined,
  PTR: record => (record.type === 'PTR' ? record.data : undefined),
  TXT(record) {
    if (record.type !== 'TXT') return undefined
    const bytes = Buffer.concat([record.data].flat().map(part => Buffer.from(part)))
    return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1')
  },
  TLSA(record) {
    if (record.type !== 'TLSA') return undefined
    const { usage, selector, matchingType, certificate } = record.data
    return Buffer.concat([Buffer.of(usage, selector, matchingType), certificate]).toString('hex')
  },
  OPENPGPKEY: record =>
    'data' in record && Buffer.isBuffer(record.data) ? record.data.toString('hex') : undefined,
}
