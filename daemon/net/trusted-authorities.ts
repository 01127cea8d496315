/**
 * Which certificates a server may show us: signed by those whom Node trusts (its own list and
 * NODE_EXTRA_CA_CERTS) or the system (/etc/ssl/certs, which update-ca-certificates(8) fills; or
 * SSL_CERT_FILE, SSL_CERT_DIR). Read once, when it is first needed: a new one takes a restart.
 */

import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'

let context: SecureContext | undefined

export function trustedAuthorities(): SecureContext {
  context ??= createSecureContext({
    ca: [...new Set([...getCACertificates('default'), ...getCACertificates('system')])],
  })
  return context
}
