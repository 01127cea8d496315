/** An LDAP directory. */

import type { Directory } from '../policy/directory.ts'
import { LookupError } from '../policy/errors.ts'

export interface LdapOptions {
  readonly host: string
  readonly port: number
  readonly keepalive: boolean
  /** Seconds. */
  readonly timeout: number
  readonly binddn: string | undefined
  readonly password: string | undefined
  readonly starttls: boolean
}

export interface ClosableDirectory extends Directory {
  close(): void
}

export function ldapDirectory(_options: LdapOptions): ClosableDirectory {
  throw new LookupError('not built yet')
}
