/** Domain names as SPF sees them. */

import { domainToASCII } from 'node:url'

export function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name
}

/** A domain of a mail address as the DNS knows it. */
export function asciiDomain(domain: string): string {
  return /[^ -~]/.test(domain) ? domainToASCII(domain) : domain
}

/** Can it have a record? Address literals and single labels cannot (RFC 7208 4.3). */
export function isMailDomain(domain: string): boolean {
  return canBeLookedUp(domain) && /^[\w-]+(?:\.[\w-]+)*\.(?!\d+$)[\w-]+$/.test(domain)
}

export function canBeLookedUp(name: string): boolean {
  return name.length <= 253 && /^[\x20-\x7e]+$/.test(name) && name.split('.').every(isLabel)
}

function isLabel(label: string): boolean {
  return label.length > 0 && label.length <= 63
}

/** The domain itself, or a name in it. */
export function isBelow(name: string, domain: string): boolean {
  return `.${name.toLowerCase()}`.endsWith(`.${domain.toLowerCase()}`)
}
