/**
 * One query to the name servers, over the network.
 *
 * Each attempt has a socket of its own, connected to one server, with the kernel's random port and
 * a random id (RFC 5452): anything but the answer to this query is ignored. If there is no answer
 * after a third of the time, the next server is queried as well, and the first answer counts. The
 * last attempt goes without EDNS, because some firewalls drop every packet that has it. A server
 * that refuses or sends nonsense is followed by the next at once. An answer too long for UDP is
 * fetched over TCP.
 */

import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import type { DnsAnswer, DnsType } from '../policy/ports/dns.ts'
import type { Cancel, Clock } from '../system/clock.ts'
import { describeError } from '../system/errors.ts'
import { type DnsQuestion, questionBytes, type Reading, readReply } from './dns-message.ts'
import type { NameServer } from './dns-servers.ts'

export interface Inquiry<T extends DnsType> {
  readonly question: DnsQuestion<T>
  /** In the order in which they are queried; at least one. */
  readonly servers: readonly NameServer[]
  /** Is this server to be queried without EDNS from the start? */
  readonly withoutEdns: (server: NameServer) => boolean
  readonly milliseconds: number
  readonly after: Clock['after']
  /** Called once, never before `inquire` has returned. */
  readonly done: (result: InquiryResult<T>) => void
}

export type InquiryResult<T extends DnsType> =
  | {
      readonly kind: 'answer'
      readonly answer: DnsAnswer<T>
      readonly ttl: number | undefined
      readonly bytes: number
      readonly server: NameServer
      /** Was the query it answered sent with EDNS? */
      readonly edns: boolean
    }
  | { readonly kind: 'silent' }
  /** All servers refuse. */
  | { readonly kind: 'refused'; readonly problem: string }

const IDS = 65_536
const ATTEMPTS = 3
const MOST_UDP_BYTES = 16 * 1024

/** @returns cancels the query: `done` is no longer called */
export function inquire<T extends DnsType>({
  question,
  servers,
  withoutEdns,
  milliseconds,
  after,
  done,
}: Inquiry<T>): Cancel {
  const { randomInt } = process.getBuiltinModule('node:crypto')
  const closers = new Set<() => void>()
  /** Servers from which no answer is to be expected any more. */
  const lost = new Set<NameServer>()
  let next = 0
  let attempts = 0
  let isOver = false
  let stopTimer = after(milliseconds / ATTEMPTS, again)
  askNext()

  function close(): void {
    isOver = true
    stopTimer()
    for (const closeOne of closers) closeOne()
  }

  function finish(result: InquiryResult<T>): void {
    if (isOver) return
    close()
    done(result)
  }

  function again(): void {
    if (++attempts === ATTEMPTS) {
      finish({ kind: 'silent' })
      return
    }
    stopTimer = after(milliseconds / ATTEMPTS, again)
    askNext()
  }

  function askNext(): void {
    for (const _ of servers) {
      const server = servers[next++ % servers.length]
      if (!server || lost.has(server)) continue
      overUdp(server, attempts < ATTEMPTS - 1 && !withoutEdns(server))
      return
    }
  }

  function lose(server: NameServer, problem: string): void {
    if (isOver || lost.has(server)) return
    lost.add(server)
    if (lost.size === servers.length) finish({ kind: 'refused', problem })
    else askNext()
  }

  function take(reading: Reading<T>, bytes: number, server: NameServer, edns: boolean): void {
    if (reading.kind === 'answer') {
      finish({ kind: 'answer', answer: reading.answer, ttl: reading.ttl, bytes, server, edns })
    } else if (reading.kind === 'refused') lose(server, reading.problem)
  }

  function overUdp(server: NameServer, edns: boolean): void {
    const { address, port } = server
    const id = randomInt(IDS)
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const closeSocket = (): void => {
      if (closers.delete(closeSocket)) socket.close()
    }
    closers.add(closeSocket)
    const fail = (error: Error): void => {
      closeSocket()
      lose(server, describeError(error))
    }
    socket.on('error', fail)
    socket.on('message', bytes => {
      // The library follows every pointer to its end, which takes 64 KiB half a second.
      if (bytes.length > MOST_UDP_BYTES) return
      const reading = readReply(bytes, question, id)
      if (isOver || reading.kind === 'stray') return
      closeSocket()
      if (reading.kind === 'truncated') overTcp(server, edns)
      else if (reading.kind === 'refused' && !reading.knowsEdns && edns) overUdp(server, false)
      else take(reading, bytes.length, server, edns)
    })
    // As a listener: a callback of connect() would be given its error as well.
    socket.once('connect', () => {
      if (isOver) return
      socket.send(questionBytes(question, id, edns), error => {
        if (error) fail(error)
      })
    })
    socket.connect(port, address)
  }

  /** A length goes before each message (RFC 1035, 4.2.2). */
  function overTcp(server: NameServer, edns: boolean): void {
    const id = randomInt(IDS)
    const socket = connect(server.port, server.address)
    const closeSocket = (): void => {
      if (closers.delete(closeSocket)) socket.destroy()
    }
    closers.add(closeSocket)
    const fail = (problem: string): void => {
      closeSocket()
      lose(server, problem)
    }
    const chunks: Buffer[] = []
    let received = 0
    let end = Infinity
    socket.on('error', error => fail(describeError(error)))
    socket.on('end', () => fail('the connection was closed before the answer'))
    socket.on('connect', () => {
      const bytes = questionBytes(question, id, edns)
      socket.write(Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]))
    })
    socket.on('data', chunk => {
      if (isOver) return
      chunks.push(chunk)
      received += chunk.length
      if (end === Infinity && received >= 2) end = 2 + Buffer.concat(chunks).readUInt16BE(0)
      if (received < end) return
      closeSocket()
      const reading = readReply(Buffer.concat(chunks).subarray(2, end), question, id)
      if (reading.kind === 'truncated' || reading.kind === 'stray') {
        lose(server, 'a reply over TCP that is not an answer')
      } else take(reading, end, server, edns)
    })
  }

  return close
}
