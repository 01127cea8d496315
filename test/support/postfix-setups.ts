/**
 * The set-ups of test/fixtures/postfix-setups, made to run on a mail host of a test's own
 * (mail-host.ts) with as few changes as possible: restriction lists, options, classes, chroots,
 * ports, interfaces and networks stay as they are.
 *
 * Changed is what does not exist there: certificates, milters (gone), databases and files (empty
 * tables), SASL (Dovecot's protocol everywhere), the log file. Every transport discards. A content
 * filter hands the mail back unread, to the service that the set-up has for that.
 */

import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

export interface RunnableSetup {
  readonly name: string
  readonly mainCf: string
  readonly masterCf: string
  /** Of its own and empty ones, below the configuration directory. */
  readonly files: ReadonlyMap<string, string>
  /** Who is asked by it: each has to be there and answer DUNNO. `unix:private/quota-status` */
  readonly policyServices: readonly string[]
  /** Where smtpd asks for passwords: `private/auth`, `/path`, `inet:HOST:PORT`. */
  readonly sasl: readonly string[]
}

const SETUPS = path.join(import.meta.dirname, '../fixtures/postfix-setups')

export function setupNames(): string[] {
  return fs
    .readdirSync(SETUPS, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(({ name }) => name)
}

/** To which port of the host a content filter's port hands mail back. */
const HANDED_BACK: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  iredmail: { 10026: '10028' },
  ispconfig: { 10026: '10027' },
  kolab: { 10026: '10027' },
}
const FILTERS =
  /(?<![\w-])(?:scan|amavis|smtp-amavis|smtp-wallace|lmtp):(?:\[127\.0\.0\.1\]|127\.0\.0\.1):(\d+)/g

/** As /etc/NAME: with the queue in /var/spool/NAME and the data in /var/lib/NAME. */
export function runnableSetup(setup: string, instance = 'postfix', sub = ''): RunnableSetup {
  const folder = path.join(SETUPS, setup, sub)
  const read = (name: string) => fs.readFileSync(path.join(folder, name), 'utf8')
  const files = new Map<string, string>()
  for (const name of fs.readdirSync(folder)) {
    if (!/^(?:main|master)\.cf$/.test(name) && fs.statSync(path.join(folder, name)).isFile()) {
      files.set(name, withFilters(setup, read(name)))
    }
  }
  const etc = `/etc/${instance}`
  const withTables = (text: string) => emptyTables(text, etc, files)
  const mainCf = mainCfOf(withTables(withFilters(setup, read('main.cf'))), instance)
  const masterCf = masterCfOf(withTables(withFilters(setup, read('master.cf'))))
  files.set('vhost', '')
  const both = `${mainCf}\n${masterCf}`
  const found = (pattern: RegExp) => [
    ...new Set([...both.matchAll(pattern)].flatMap(([, text]) => text ?? [])),
  ]
  return {
    name: setup,
    mainCf,
    masterCf,
    files,
    policyServices: found(/check_policy_service\s+((?:inet|unix):[^\s,]+)/g),
    sasl: found(/smtpd_sasl_path\s*=\s*(\S+)/g),
  }
}

function withFilters(setup: string, text: string): string {
  const back = HANDED_BACK[setup] ?? {}
  const port = (from: string) => back[from] ?? (from === '10030' ? '10030' : '10025')
  return text
    .replaceAll(FILTERS, (_, from: string) => `handback:[127.0.0.1]:${port(from)}`)
    .replaceAll(/(smtpd_proxy_filter=inet:\[127\.0\.0\.1\]):\d+/g, '$1:10025')
}

const TABLE =
  /(?:proxy:)?(mysql|pgsql|ldap|sqlite|hash|lmdb|texthash|cidr|pcre|regexp|socketmap|tcp):(unix:)?([^\s,}]+)/g

/** Tables that are text keep their type; what a database would say is nothing. */
function emptyTables(text: string, etc: string, files: Map<string, string>): string {
  const known = text
    .replaceAll(/^(podop = ).*$/gm, '$1static:')
    .replaceAll(/\$\{podop\}\w+/g, 'inline:{nothing=here}')
  return known.replaceAll(TABLE, (_, type: string, _unix, name: string) => {
    if (/aliases$/.test(name)) return 'inline:{alice=alice}'
    if (!/^(?:hash|texthash|cidr|pcre|regexp|lmdb)$/.test(type)) return 'inline:{nothing=here}'
    const file = path.basename(name)
    if (!files.has(file)) files.set(file, '')
    const plain = type === 'pcre' ? 'regexp' : /^(?:hash|lmdb)$/.test(type) ? 'texthash' : type
    return `${plain}:${etc}/${file}`
  })
}

function mainCfOf(text: string, instance: string): string {
  let result = text
  const set = (name: string, value: string, isOnlyIfThere = false) => {
    const definition = new RegExp(`^${name}[ \\t]*=.*\\n(?:[ \\t]+\\S.*\\n)*`, 'm')
    const line = `${name} = ${value}\n`
    if (definition.test(result)) result = result.replace(definition, () => line)
    else if (!isOnlyIfThere) result += line
  }
  const certificate = `/etc/${instance}/test.pem`
  const isThere = true
  set('smtpd_tls_cert_file', certificate, isThere)
  set('smtpd_tls_key_file', certificate, isThere)
  set('smtpd_tls_CAfile', certificate, isThere)
  set('smtpd_tls_chain_files', certificate, isThere)
  set('tls_server_sni_maps', '', isThere)
  set('smtpd_milters', '', isThere)
  set('non_smtpd_milters', '', isThere)
  set('myorigin', '$myhostname', isThere)
  set('queue_directory', `/var/spool/${instance}`)
  set('data_directory', `/var/lib/${instance}`, instance === 'postfix')
  if (instance !== 'postfix') set('data_directory', `/var/lib/${instance}`)
  result = result.replace(/^proxy_read_maps.*\n(?:[ \t]+\S.*\n)*/m, '')
  set('smtpd_sender_login_maps', 'static:alice@mail.example.org', isThere)
  set('smtpd_sasl_type', 'dovecot')
  if (!/^smtpd_sasl_path/m.test(result)) set('smtpd_sasl_path', 'private/auth')
  result = result.replace('/dev/shm/', `/var/lib/${instance}/`)
  set('maillog_file', `/var/lib/mail-${instance}.log`)
  // The guests of a test are nobody's spammers; what postscreen says of others is its own affair.
  set('postscreen_access_list', 'permit_mynetworks, static:permit', isThere)
  return result
}

const DELIVERS = /^(?:smtp|lmtp|local|virtual|pipe)$/

function masterCfOf(text: string): string {
  const entries = text.split(/^(?=[^\s#])/m)
  const kept = entries.flatMap(entry => {
    const [name = '', type = '', , , , , , program = ''] = entry.split(/\s+/)
    if (program === 'spawn') return []
    if (DELIVERS.test(program)) return [`${name} ${type} - - n - - discard\n`]
    return [entry.replaceAll(/(-o (?:non_)?smtpd_milters=)\S+/g, '$1')]
  })
  const all = kept.join('')
  const postlog = /^postlog\s/m.test(all) ? '' : 'postlog unix-dgram n - n - 1 postlogd\n'
  return `${all.replace(/\n*$/, '\n')}${postlog}handback unix - - n - - smtp\n`
}

/** The files of an instance, as `makeMailHost` takes them. */
export function filesOf(
  { mainCf, masterCf, files }: RunnableSetup,
  instance: string,
  certificate: Buffer,
  more: readonly string[] = [],
): Record<string, string | Buffer> {
  const etc = `etc/${instance}`
  const extra = [...files].map(([name, text]) => [`${etc}/${name}`, text])
  return {
    ...Object.fromEntries(extra),
    [`${etc}/main.cf`]: `${mainCf}${more.map(line => `${line}\n`).join('')}`,
    [`${etc}/master.cf`]: masterCf,
    [`${etc}/test.pem`]: certificate,
  }
}

/** Key and certificate in one file, as smtpd_tls_chain_files wants them. */
export function makeCertificate(directory: string): Buffer {
  const [key, certificate] = [path.join(directory, 'key.pem'), path.join(directory, 'cert.pem')]
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const subject = ['-days', '3650', '-subj', '/CN=mail.example.org']
  const files = ['-keyout', key, '-out', certificate]
  const argv = ['req', '-new', '-x509', ...kind, ...subject, ...files]
  execFileSync('openssl', argv, { stdio: 'ignore' })
  return Buffer.concat([fs.readFileSync(key), fs.readFileSync(certificate)])
}
