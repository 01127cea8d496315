/**
 * The servers of a recorded case, started for it alone: real ones where it needs them, and small
 * ones that say what the recording says.
 */

import { join } from 'node:path'
import { startServer } from '../../scripts/test-servers.ts'
import { type FakeDnsServer, startDnsServer } from '../support/dns-server.ts'
import type { RecordedCase } from './case.ts'
import {
  httpStub,
  type PolicyStub,
  policyStub,
  type SmtpStub,
  type Stub,
  smtpStub,
} from './stubs.ts'

export interface Closable {
  close(): Promise<unknown>
}

/** Takes care that what was opened is closed with the scene. */
export type Closing = <T extends Closable>(one: T) => T

/** What the case does not have is undefined. */
export interface Servers {
  /** Port of the real one, as the next two. */
  readonly memcached: number | undefined
  readonly redis: number | undefined
  readonly directory: number | undefined
  readonly mail: SmtpStub | undefined
  readonly web: Stub | undefined
  readonly names: FakeDnsServer | undefined
  /** Another policy service. */
  readonly service: PolicyStub | undefined
}

export async function startServers(
  recorded: RecordedCase,
  folder: string,
  closing: Closing,
): Promise<Servers> {
  const { needs, dns, smtp, http, ldap, proxy_answer, proxy_unix_answer } = recorded

  async function portOf(...argv: Parameters<typeof startServer>): Promise<number> {
    const server = await startServer(...argv)
    closing({ close: () => server.remove() })
    return server.port
  }

  if (proxy_unix_answer !== undefined) {
    closing(await policyStub(proxy_unix_answer, join(folder, 'proxy.sock')))
  }
  return {
    memcached: needs.includes('memcached') ? await portOf('memcached') : undefined,
    redis: needs.includes('redis') ? await portOf('redis') : undefined,
    directory:
      ldap === undefined ? undefined : await portOf('slapd', { files: { 'data.ldif': ldap } }),
    mail: smtp && closing(await smtpStub(smtp)),
    web: http && closing(await httpStub(...http)),
    names: dns && closing(await startDnsServer(dns)),
    service: proxy_answer === undefined ? undefined : closing(await policyStub(proxy_answer)),
  }
}
