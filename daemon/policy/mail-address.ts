/**
 * Mail addresses as Postfix passes them on: the local part without its quotes, the domain as the
 * client wrote it, in any case and perhaps with a final dot.
 *
 * An address is compared with its domain in lower case and without the dot. The case of a local
 * part is significant to its server (RFC 5321, 2.4) and is kept.
 */

import { domainInAscii } from '../net/ascii-domain.ts'

/** What needs no quotes: atoms with dots between them (RFC 5321, 4.1.2; RFC 6531, 3.3). */
const DOT_ATOM = /^[^\s"(),.:;<>@[\\\]\p{Cc}]+(?:\.[^\s"(),.:;<>@[\\\]\p{Cc}]+)*$/u

/** `example.org` for `Example.ORG.` */
export function plainDomain(domain: string): string {
  const bare = domain.endsWith('.') ? domain.slice(0, -1) : domain
  return bare.toLowerCase()
}

/** `xn--mller-kva.de` for `Müller.de`, which is the same domain. What is no domain stays as it is. */
export function asciiDomain(domain: string): string {
  const plain = plainDomain(domain)
  return /^[ -~]*$/.test(plain) ? plain : (domainInAscii(plain) ?? plain)
}

/** The domain after the last @, as written; empty if there is none. */
export function domainOf(address: string): string {
  const at = address.lastIndexOf('@')
  return at < 0 ? '' : address.slice(at + 1)
}

/** The part before the last @, or all. */
export function localPartOf(address: string): string {
  const at = address.lastIndexOf('@')
  return at < 0 ? address : address.slice(0, at)
}

/** An address with its domain as `plainDomain` has it. */
export function plainAddress(address: string): string {
  const at = address.lastIndexOf('@')
  return at < 0 ? address : address.slice(0, at + 1) + plainDomain(address.slice(at + 1))
}

/** The same for an address that a person wrote, whose local part may be in quotes. */
export function writtenAddress(written: string): string {
  const [, quoted, rest = ''] = /^"((?:[^"\\]|\\.)*)"(@.*|)$/s.exec(written) ?? []
  return plainAddress(quoted === undefined ? written : quoted.replace(/\\(.)/gs, '$1') + rest)
}

/** As SMTP and mail directories write it: quotes around a local part that needs them. */
export function quotedAddress(address: string): string {
  const local = localPartOf(address)
  if (local === '' || DOT_ATOM.test(local)) return address
  return `"${local.replace(/["\\]/g, '\\$&')}"${address.slice(local.length)}`
}
