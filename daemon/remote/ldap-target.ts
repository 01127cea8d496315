/** Where a directory is: a host, or an ldap://, ldaps:// or ldapi:// URL. */

import { isIP } from 'node:net'
import { LookupError, withoutLogin } from '../system/errors.ts'

export interface LdapTarget {
  /** As messages call it. */
  readonly name: string
  readonly socket: { readonly path: string } | { readonly host: string; readonly port: number }
  readonly isSecure: boolean
  readonly startsTls: boolean
}

/** slapd's socket on Debian. */
const LDAPI_PATH = '/var/run/slapd/ldapi'
const DEFAULT_PORT = 389
const DEFAULT_SECURE_PORT = 636

/**
 * StartTLS is for ldap:// alone: ldaps:// is encrypted already, and ldapi:// never leaves the host.
 * Throws LookupError if the text is neither.
 */
export function ldapTarget(options: {
  readonly host: string
  readonly port: number
  readonly starttls: boolean
}): LdapTarget {
  const { host: text, port: configured, starttls } = options
  const [, scheme = 'ldap', rest = ''] = /^(?:(ldaps?|ldapi):\/\/)?(.*?)\/?$/i.exec(text) ?? []
  const kind = scheme.toLowerCase()
  if (kind === 'ldapi') {
    const path = rest === '' ? LDAPI_PATH : decodePath(rest)
    return { name: text, socket: { path }, isSecure: false, startsTls: false }
  }
  const [, bracketed, plain, written] =
    /^(?:\[([^\]]+)\]|([^:[\]\s/]+))(?::(\d{1,5}))?$/.exec(rest) ?? []
  const host = bracketed ?? plain ?? (isIP(rest) === 6 ? rest : undefined)
  if (host === undefined) {
    throw new LookupError(`expected a host or an ldap URL, found "${withoutLogin(text)}"`)
  }
  const isSecure = kind === 'ldaps'
  const usual = isSecure && configured === DEFAULT_PORT ? DEFAULT_SECURE_PORT : configured
  const port = Number(written ?? usual)
  const name = `${withoutLogin(host)}:${port}`
  return { name, socket: { host, port }, isSecure, startsTls: starttls && !isSecure }
}

function decodePath(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new LookupError(
      `expected ldapi:// and a path with %2F for each /, found "${withoutLogin(text)}"`,
    )
  }
}
