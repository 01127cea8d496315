/**
 * What every client of SMTP needs (RFC 5321): replies, extensions, its own name, addresses that cannot become
 * a command. A peer that does not speak SMTP, and an address that cannot be used, is a LookupError.
 */

import { isIPv6 } from 'node:net'
import { hostname } from 'node:os'
import { LookupError } from '../system/errors.ts'
import { excerpt } from '../text/excerpt.ts'
import type { PeerConnection } from './peer-connection.ts'

/** RFC 5321, 4.5.3.1: 64 for the local part, "@", 255 for the domain. */
const MOST_ADDRESS_BYTES = 320

/** The last line of a reply has a space, or nothing, after the code. */
const END_OF_REPLY = /(?:^|\n)\d{3}(?: [^\n]*)?\r?\n/

export interface Reply {
  readonly code: number
  /** Without the code. */
  readonly lines: readonly string[]
}

export async function readReply(connection: PeerConnection, signal: AbortSignal): Promise<Reply> {
  const text = await connection.read(END_OF_REPLY, signal)
  const lines = Buffer.from(text, 'latin1').toString('utf8').trimEnd().split(/\r?\n/)
  if (!lines.every(line => /^[2-5]\d\d(?:[ -]|$)/.test(line))) {
    throw new LookupError('this is not an SMTP server')
  }
  return { code: Number(lines.at(-1)?.slice(0, 3)), lines: lines.map(line => line.slice(4)) }
}

/** What the reply to EHLO announces, upper case, without parameters; the first line is the server's name. */
export function extensionsOf({ lines }: Reply): readonly string[] {
  return lines.slice(1).map(line => (line.split(' ', 1)[0] ?? '').toUpperCase())
}

/** Brackets and spaces are safe inside a quoted local part; control characters never are. */
export function refuseUnsafe(address: string): void {
  const bare = address.replace(/^"(?:[^"\\]|\\.)*"(?=@)/, '')
  if (
    /\p{Cc}/u.test(address) ||
    /[<>\s]/.test(bare) ||
    Buffer.byteLength(address) > MOST_ADDRESS_BYTES
  ) {
    const shown = JSON.stringify(excerpt(address, 80))
    throw new LookupError(`the address ${shown} cannot be put into an SMTP command`)
  }
}

export function isAscii(text: string): boolean {
  return !/[^\x20-\x7e]/.test(text)
}

/** A host name without a domain is often refused; RFC 5321, 4.1.4 allows the address instead. */
export function heloName(address: string): string {
  const name = hostname()
  if (/^[\w-]+(?:\.[\w-]+)+$/.test(name)) return name
  return isIPv6(address) ? `[IPv6:${address}]` : `[${address}]`
}
