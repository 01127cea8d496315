/**
 * OpenLDAP with the entries of `data.ldif`, whose first one is the suffix. Everybody may read, but
 * what is below ou=private only who is bound. ldapi:// is `socket`. With a `server.pem` (key,
 * certificate and its authority in one) it knows StartTLS, and ldaps:// on 127.0.0.2.
 */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Place, ServerKind } from './server.ts'

const SCHEMAS = ['core', 'cosine', 'inetorgperson']

/** The administrator's entry, below the suffix. */
export const LDAP_ADMIN = { name: 'cn=admin', password: 's3cret(of)tests' } as const

const hasCertificate = ({ folder }: Place): boolean => existsSync(join(folder, 'server.pem'))

export const slapd: ServerKind = {
  package: 'slapd',
  programs: ['slapd', 'slapadd'],
  user: 'openldap',

  async prepare(place) {
    const { folder, program, run, write } = place
    const data = join(folder, 'data.ldif')
    const suffix = /^dn: (.*)$/m.exec(readFileSync(data, 'utf8'))?.[1] ?? ''
    const certificate = ['CACertificate', 'Certificate', 'CertificateKey']
    const lines = [
      ...SCHEMAS.map(name => `include /etc/ldap/schema/${name}.schema`),
      'modulepath /usr/lib/ldap',
      'moduleload back_mdb',
      ...(hasCertificate(place)
        ? certificate.map(kind => `TLS${kind}File ${folder}/server.pem`)
        : []),
      'database mdb',
      `suffix "${suffix}"`,
      `rootdn "${LDAP_ADMIN.name},${suffix}"`,
      `rootpw ${LDAP_ADMIN.password}`,
      `directory ${folder}/entries`,
      'maxsize 10485760',
      `access to dn.subtree="ou=private,${suffix}" by users read by * none`,
      'access to attrs=userPassword by anonymous auth by * none',
      'access to * by * read',
    ]
    const config = write('slapd.conf', `${lines.join('\n')}\n`)
    await run('mkdir', `${folder}/entries`)
    await run(program('slapadd'), '-q', '-f', config, '-l', data)
  },

  command: place => {
    const urls = [`ldap://127.0.0.1:${place.port}`, `ldapi://${encodeURIComponent(place.socket)}`]
    if (hasCertificate(place)) urls.push(`ldaps://127.0.0.2:${place.port}`)
    const { folder, program } = place
    return [program('slapd'), '-f', `${folder}/slapd.conf`, '-h', urls.join(' '), '-d', '0']
  },
}
