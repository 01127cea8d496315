/** A domain has two spellings: in letters, and in ASCII (`xn--`, RFC 5890). */

import { domainToASCII, domainToUnicode } from 'node:url'

/** `xn--mller-kva.de` for `Müller.de`; undefined for what is no domain. */
export function domainInAscii(domain: string): string | undefined {
  return domainToASCII(domain) || undefined
}

/** `müller.de` for `xn--mller-kva.de`; undefined for what is no domain. */
export function domainInLetters(domain: string): string | undefined {
  return domainToUnicode(domain) || undefined
}
