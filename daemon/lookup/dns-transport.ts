/**
 * One question to the name servers, over the network.
 *
 * Each attempt has a socket of its own, connected to the one server, with the kernel's random port
 * and a random id (RFC 5452): what is not the answer to this question is not looked at. No answer
 * after a third of the time: the next server is asked as well, and whoever answers first counts.
 * A server that refuses or talks nonsense is followed by the next at once. An answer too long for
 * UDP is fetched over TCP.
 */

import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import type { DnsAnswer, DnsType } from '../policy/dns.ts'
import { describeError } from '../policy/errors.ts'
import { type DnsQuestion, questionBytes, type Reading, readReply } from './dns-message.ts'
import type { NameServer } from './dns-servers.ts'

export interface Inquiry<T extends DnsType> {
  readonly question: DnsQuestion<T>
  /** In the order in which they are asked; at least one. */
  readonly servers: readonly NameServer[]
  readonly milliseconds: number
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
    }
  | { readonly kind: 'silent' }
  /** All servers refuse. */
  | { readonly kind: 'refused'; readonly problem: string }

const IDS = 65_536
const ATTEMPTS = 3
const MOST_UDP_BYTES = 16 * 1024

/** Cancels the question: `done` is not called any more. */
export type Cancel = () => void

export function inquire<T extends DnsType>({
  question,
  servers,
  milliseconds,
  done,
}: Inquiry<T>): Cancel {
  const { randomInt } = process.getBuiltinModule('node:crypto')
  const closers = new Set<() => void>()
  /** Servers of which nothing more is to be expected. */
  const lost = new Set<NameServer>()
  let next = 0
  let attempts = 0
  let isOver = false
  let timer = setTimeout(again, milliseconds / ATTEMPTS)
  askNext()

  function close(): void {
    isOver = true
    clearTimeout(timer)
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
    timer = setTimeout(again, milliseconds / ATTEMPTS)
    askNext()
  }

  function askNext(): void {
    for (const _ of servers) {
      const server = servers[next++ % servers.length]
      if (!server || lost.has(server)) continue
      overUdp(server, true)
      return
    }
  }

  function lose(server: NameServer, problem: string): void {
    if (isOver || lost.has(server)) return
    lost.add(server)
    if (lost.size === servers.length) finish({ kind: 'refused', problem })
    else askNext()
  }

  function take(reading: Reading<T>, bytes: number, server: NameServer): void {
    if (reading.kind === 'answer') {
      finish({ kind: 'answer', answer: reading.answer, ttl: reading.ttl, bytes, server })
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
      else take(reading, bytes.length, server)
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
        lose(server, 'an answer over TCP that is none')
      } else take(reading, end, server)
    })
  }

  return close
}
