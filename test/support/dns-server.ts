/**
 * A small DNS server for tests: one zone that the test may change at any time, UDP and TCP on one
 * port of the loopback network, as a recursive server answers.
 *
 *   const dns = await startDnsServer({ '4.0.0.127.zen.example': { A: ['127.0.0.4'] } })
 *   dns.questions          // ['4.0.0.127.zen.example A'], in the order they came
 *   dns.zone['x.example'] = 'DROP'
 *   await dns.close()
 *
 * A name that is not in the zone does not exist (NXDOMAIN). CNAMEs are followed inside the zone.
 */

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server, type Socket as TcpSocket } from 'node:net'
import { type Answer, decode, encode, type Question } from 'dns-packet'
import { freePort } from './free-port.ts'

/** As recorded cases write it. An empty list: the name exists, without records of that type. */
export interface DnsZoneRecords {
  A?: readonly string[]
  AAAA?: readonly string[]
  CNAME?: readonly string[]
  /** `PREFERENCE HOST`. */
  MX?: readonly string[]
  NS?: readonly string[]
  PTR?: readonly string[]
  /** A record, or a record's strings. */
  TXT?: readonly (string | readonly string[])[]
  /** Hexadecimal. */
  TLSA?: readonly string[]
  OPENPGPKEY?: readonly string[]
}

/** DROP: no answer at all. */
export type DnsZoneEntry = DnsZoneRecords | 'SERVFAIL' | 'REFUSED' | 'DROP'
export type DnsZone = Record<string, DnsZoneEntry>

export interface DnsServerOptions {
  /** Seconds records may be kept. */
  readonly ttl?: number
  /** Seconds "there is none" may be kept, told by the SOA; undefined: no SOA. */
  readonly negativeTtl?: number
  readonly port?: number
  /** An address of the loopback network, instead of 127.0.0.1. */
  readonly host?: string
  /** Truncated answers end in the middle of a record, instead of having none. */
  readonly cutsRecords?: boolean
  /** Queries with EDNS get no answer, as behind some firewalls. */
  readonly dropsEdns?: boolean
}

export interface FakeDnsServer {
  readonly port: number
  /** Environment of a daemon that is to ask here. */
  readonly env: { readonly RES_NAMESERVERS: string; readonly RES_OPTIONS: string }
  /** Names in lower case. */
  readonly zone: DnsZone
  /** `NAME TYPE`, the name in lower case. */
  readonly questions: string[]
  /** How many of the questions came over TCP. */
  readonly overTcp: number
  /** How often a name was asked for, of any type or of one. */
  asked(name: string, type?: string): number
  close(): Promise<void>
}

/** Numbers of the types that dns-packet has no name for. */
const NAMES: Readonly<Record<string, string>> = { UNKNOWN_61: 'OPENPGPKEY' }
const RCODES = { SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 }
const RESPONSE_FLAGS = 0x0180
const TRUNCATED = 0x0200
const MOST_CNAMES = 8

export async function startDnsServer(
  zone: DnsZone = {},
  options: DnsServerOptions = {},
): Promise<FakeDnsServer> {
  const { ttl = 60, negativeTtl, host = '127.0.0.1', cutsRecords, dropsEdns } = options
  const questions: string[] = []
  let overTcp = 0

  /** The message for a question, undefined if it is dropped. */
  function answer(message: Buffer, most: number): Buffer | undefined {
    const query = decode(message)
    const question = query.questions?.[0]
    if (!question) return undefined
    const type = NAMES[question.type] ?? question.type
    questions.push(`${question.name.toLowerCase()} ${type}`)
    if (dropsEdns && query.additionals?.length) return undefined
    const { answers, rcode } = resolve(question, type)
    if (rcode === 'DROP') return undefined
    const response = {
      type: 'response' as const,
      id: query.id ?? 0,
      flags: RESPONSE_FLAGS | (rcode === 'NOERROR' ? 0 : RCODES[rcode]),
      questions: [question],
      answers,
      authorities: answers.length === 0 && negativeTtl !== undefined ? [soa(negativeTtl)] : [],
      additionals: query.additionals?.filter(record => record.type === 'OPT') ?? [],
    }
    const encoded = encode(response)
    if (encoded.length <= most) return encoded
    if (cutsRecords) {
      encoded.writeUInt16BE(encoded.readUInt16BE(2) | TRUNCATED, 2)
      return encoded.subarray(0, most)
    }
    return encode({ ...response, flags: response.flags | TRUNCATED, answers: [] })
  }

  function resolve(
    question: Question,
    type: string,
  ): { answers: Answer[]; rcode: keyof typeof RCODES | 'DROP' | 'NOERROR' } {
    const answers: Answer[] = []
    let name = question.name.toLowerCase()
    for (let i = 0; i < MOST_CNAMES; i++) {
      const entry = zone[name]
      if (typeof entry === 'string') return { answers: [], rcode: entry }
      if (entry === undefined) return { answers, rcode: 'NXDOMAIN' }
      const owner = i === 0 ? question.name : name
      answers.push(...recordsOf(owner, type, entry, ttl))
      const target = entry.CNAME?.[0]
      if (target === undefined || type === 'CNAME') break
      answers.push({ type: 'CNAME', name: owner, ttl, data: target })
      name = target.toLowerCase()
      if (zone[name] === undefined) break
    }
    return { answers, rcode: 'NOERROR' }
  }

  const clients = new Set<TcpSocket>()
  const { port, udp, tcp } = await openSockets(host, options.port)
  udp.on('message', (message, from) => {
    const size = decode(message).additionals?.find(record => record.type === 'OPT')
    const reply = answer(message, size?.type === 'OPT' ? size.udpPayloadSize : 512)
    if (reply) udp.send(reply, from.port, from.address)
  })
  tcp.on('connection', socket => {
    clients.add(socket)
    socket.on('close', () => clients.delete(socket))
    let received = Buffer.alloc(0)
    socket.on('error', () => socket.destroy())
    socket.on('data', data => {
      received = Buffer.concat([received, data])
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0)
        overTcp++
        const reply = answer(received.subarray(2, end), 65_535)
        if (reply) socket.write(Buffer.concat([Buffer.of(reply.length >> 8, reply.length), reply]))
        received = received.subarray(end)
      }
    })
  })

  return {
    port,
    env: { RES_NAMESERVERS: host, RES_OPTIONS: `port:${port}` },
    zone,
    questions,
    get overTcp() {
      return overTcp
    },
    asked: (name, type) =>
      questions.filter(asked =>
        type === undefined ? asked.startsWith(`${name} `) : asked === `${name} ${type}`,
      ).length,
    async close() {
      for (const client of clients) client.destroy()
      udp.close()
      tcp.close()
      await Promise.all([once(udp, 'close'), once(tcp, 'close')])
    },
  }
}

function soa(minimum: number): Answer {
  const data = { mname: 'ns.example', rname: 'admin.example', minimum }
  return { type: 'SOA', name: 'example', ttl: minimum, data }
}

function recordsOf(name: string, type: string, entry: DnsZoneRecords, ttl: number): Answer[] {
  switch (type) {
    case 'A':
    case 'AAAA':
    case 'NS':
    case 'PTR':
      return (entry[type] ?? []).map(data => ({ type, name, ttl, data }))
    case 'MX':
      return (entry.MX ?? []).map(text => {
        const [preference, exchange = ''] = text.split(' ')
        return { type: 'MX', name, ttl, data: { preference: Number(preference), exchange } }
      })
    case 'TXT':
      // A Buffer per string: dns-packet replaces texts in the list it is given.
      return (entry.TXT ?? []).map(text => ({
        type: 'TXT',
        name,
        ttl,
        data: [text].flat().map(part => Buffer.from(part)),
      }))
    case 'TLSA':
      return (entry.TLSA ?? []).map(hex => {
        const [usage = 0, selector = 0, matchingType = 0, ...rest] = Buffer.from(hex, 'hex')
        const certificate = Buffer.from(rest)
        return { type: 'TLSA', name, ttl, data: { usage, selector, matchingType, certificate } }
      })
    case 'OPENPGPKEY':
      return (entry.OPENPGPKEY ?? []).map(hex => {
        // The library encodes a type without a name by its number; its types do not say so.
        const numbered = 'UNKNOWN_61' as 'NULL'
        return { type: numbered, name, ttl, data: Buffer.from(hex, 'hex') }
      })
    default:
      return []
  }
}

/** One port for both. */
async function openSockets(
  host: string,
  wanted?: number,
): Promise<{ port: number; udp: Socket; tcp: Server }> {
  for (let attempt = 1; ; attempt++) {
    const port = wanted ?? (await freePort())
    const udp = createSocket('udp4')
    const tcp = createServer()
    try {
      udp.bind(port, host)
      await once(udp, 'listening')
      tcp.listen(port, host)
      await once(tcp, 'listening')
      return { port, udp, tcp }
    } catch (error) {
      udp.close()
      tcp.close()
      if (wanted !== undefined || attempt === 5) throw error
    }
  }
}
