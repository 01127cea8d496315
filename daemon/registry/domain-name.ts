/** Names of hosts and domains, as the variables take them. */

import { domainToASCII } from 'node:url'

/** A host or domain name in ASCII: labels of up to 63 characters, 253 in all. */
export const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i

/**
 * One spelling for each domain: lower case, in ASCII (`müller.de` is `xn--mller-kva.de`), without an
 * @ before it or a dot behind it. Undefined for what is not a domain.
 */
export function domainName(text: string): string | undefined {
  const bare = text.trim().replace(/^@/, '').replace(/\.$/, '')
  const ascii = /[^ -~]/.test(bare) ? domainToASCII(bare) : bare.toLowerCase()
  return HOST_NAME.test(ascii) ? ascii : undefined
}
