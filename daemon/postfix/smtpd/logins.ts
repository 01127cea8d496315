/** Whether clients of a service can use TLS, show a certificate, and log in. */

import type { Parameters } from './parameters.ts'

/** Is TLS offered to clients of this service? */
export function offersTls(parameters: Parameters): boolean {
  const level = parameters.value('smtpd_tls_security_level').toLowerCase()
  if (parameters.isYes('smtpd_tls_wrappermode')) return true
  if (level !== '') return level !== 'none'
  return parameters.isYes('smtpd_use_tls') || parameters.isYes('smtpd_enforce_tls')
}

/** Is TLS mandatory? The older parameters count where no level is set. */
function enforcesTls(parameters: Parameters): boolean {
  const level = parameters.value('smtpd_tls_security_level').toLowerCase()
  if (parameters.isYes('smtpd_tls_wrappermode')) return true
  if (level !== '') return level !== 'none' && level !== 'may'
  return parameters.isYes('smtpd_enforce_tls')
}

/** Postfix ignores a request for certificates if TLS is not enforced. */
export function asksForCertificates(parameters: Parameters): boolean {
  const isAsked = offersTls(parameters) && parameters.isYes('smtpd_tls_ask_ccert')
  return isAsked || (enforcesTls(parameters) && parameters.isYes('smtpd_tls_req_ccert'))
}

/**
 * Can a client log in to a service? If TLS is off, smtpd_tls_auth_only=yes means that AUTH is never
 * offered.
 */
export function allowsLogins(parameters: Parameters): boolean {
  if (!parameters.isYes('smtpd_sasl_auth_enable')) return false
  return offersTls(parameters) || !parameters.isYes('smtpd_tls_auth_only')
}
