/**
 * Questions and answers of the DNS as bytes (RFC 1035, EDNS0 of RFC 6891), for one question each.
 *
 * What comes back is not trusted: whatever the bytes are, reading them ends at once, says what it
 * makes of them and throws nothing. The resolver asked is believed about its own question only:
 * records of other names count as far as CNAMEs lead there.
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
import { formatIPv6, parseIPv4, parseIPv6 } from '../policy/address.ts'
import type { DnsAnswer, DnsRecords, DnsType } from '../policy/dns.ts'

export interface DnsQuestion<T extends DnsType = DnsType> {
  /** As questionName makes it. */
  readonly name: string
  readonly type: T
}

/** What a message means for the question it should answer. */
export type Reading<T extends DnsType = DnsType> =
  /** Not ours: forged, late, or nobody's. */
  | { readonly kind: 'stray' }
  /** Too long for UDP. */
  | { readonly kind: 'truncated' }
  /** The server will not or cannot say. */
  | { readonly kind: 'refused'; readonly problem: string; readonly knowsEdns: boolean }
  /** `ttl` in seconds as the server says it; undefined: it says nothing. */
  | { readonly kind: 'answer'; readonly answer: DnsAnswer<T>; readonly ttl: number | undefined }

/** Bytes that go through every network in one piece. */
const UDP_BYTES = 1232
const HEADER_BYTES = 12
const SHORTEST_QUESTION_BYTES = 5
const SHORTEST_RECORD_BYTES = 11
const MOST_CNAMES = 16
const MOST_RECORDS = 256
const LONGEST_LABEL = 63
const LONGEST_NAME = 253

/** Response codes (RFC 1035, 4.1.1) by number. */
const RCODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED']
const NXDOMAIN = 3

/** The library knows type 61 by its number only, and its types do not know that. */
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

/**
 * The one spelling of a name, lower case and without the final dot; undefined for what no name
 * server could be asked for. Any visible ASCII may stand in a label: block lists are asked for
 * what strangers send.
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
    // A server that did not understand the question need not repeat it.
    return rcode === 0 ? { kind: 'stray' } : refused(RCODES[rcode] ?? `code ${rcode}`, rcode)
  }
  if (!repeats(bytes, question)) return { kind: 'stray' }
  const message = decoded(bytes)
  if (message === undefined) return refused('an answer that cannot be read')
  if (message.flag_tc) return { kind: 'truncated' }
  if (rcode === NXDOMAIN) {
    const answer = { outcome: 'empty', records: [], exists: false } as const
    return { kind: 'answer', answer, ttl: negativeTtl(message) }
  }
  if (rcode !== 0) return refused(RCODES[rcode] ?? `code ${rcode}`, rcode)
  return readAnswer(message, question)
}

/** Is it about this question? Before anything else is read: strangers may send much. */
function repeats(bytes: Buffer, question: DnsQuestion): boolean {
  if (bytes.readUInt16BE(4) !== 1) return false
  const ours = questionBytes(question, 0, false).subarray(HEADER_BYTES)
  const theirs = bytes.subarray(HEADER_BYTES, HEADER_BYTES + ours.length)
  // Lengths of labels and numbers of types are no capital letters.
  return theirs.toString('latin1').toLowerCase() === ours.toString('latin1').toLowerCase()
}

function refused(problem: string, rcode = 0): Reading<never> {
  // FORMERR and NOTIMP: servers from before EDNS (RFC 6891, 7).
  return { kind: 'refused', problem, knowsEdns: rcode !== 1 && rcode !== 4 }
}

/** Undefined if it is no message. The counts are looked at first: the library believes them. */
function decoded(bytes: Buffer): DecodedPacket | undefined {
  const records = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10)
  const least = bytes.readUInt16BE(4) * SHORTEST_QUESTION_BYTES + records * SHORTEST_RECORD_BYTES
  if (least > bytes.length - HEADER_BYTES) return undefined
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

/** How long "there is none" may be kept (RFC 2308, 5). */
function negativeTtl(message: DecodedPacket): number | undefined {
  const soa = message.authorities?.find(record => record.type === 'SOA')
  if (soa?.type !== 'SOA') return undefined
  return Math.min(soa.ttl ?? 0, soa.data.minimum ?? 0)
}

/** One record; undefined for what only pretends to be one. */
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
