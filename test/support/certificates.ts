/** An authority of a test's own, and servers' certificates that it signs, by openssl(1). */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Certificates {
  readonly authority: string
  /** For each server its key, certificate and authority in one. */
  readonly servers: readonly string[]
}

/** @param servers the names of each: `DNS:ldap.example.org,IP:127.0.0.1`. All is PEM. */
export function makeCertificates(...servers: string[]): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'certificates-'))
  const file = (name: string): string => join(folder, name)
  const read = (name: string): string => readFileSync(file(name), 'utf8')
  const make = (name: string, ...options: string[]): void => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    const files = ['-keyout', file(`${name}.key`), '-out', file(name), '-subj', `/CN=${name}`]
    const args = ['req', '-x509', ...key, ...files, '-days', '2', ...options]
    execFileSync('openssl', args, { stdio: 'pipe' })
  }
  try {
    make('authority')
    const signer = ['-CA', file('authority'), '-CAkey', file('authority.key')]
    const authority = read('authority')
    return {
      authority,
      servers: servers.map(names => {
        make('server', ...signer, '-addext', `subjectAltName=${names}`)
        return [read('server.key'), read('server'), authority].join('')
      }),
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
