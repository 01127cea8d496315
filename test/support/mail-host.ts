/**
 * A mail host of its own for a test: namespaces for network, mounts and processes, in which
 * /etc, /run, /var/spool and /var/lib are private. Postfix's own ports, paths and interfaces can stay as
 * a set-up has them, and everything that runs there ends with it.
 *
 *   const skip = mailHostMissing()          // false, or why not; throws where CI promised one
 *   const host = makeMailHost({ 'etc/postfix/main.cf': '…', 'etc/postfix/master.cf': '…' })
 *   await host.run(['node', 'test/support/mail-session.ts', …])
 *   host.remove()
 *
 * 192.0.2.10 is the host's address; 203.0.113.0/24 and 192.168.203.0/24 are clients elsewhere: they
 * may be bound, but belong to no interface, as 2001:db8::9 has to. Nothing can leave it.
 */

import { execFile, execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

export interface MailHost {
  readonly directory: string
  /** Where a file of the host lies for us: `etc/postfix/main.cf`. */
  file(name: string): string
  /** Output and exit status of a program that runs on the host, and ends with it. */
  run(argv: readonly string[], options?: RunOptions): Promise<HostResult>
  remove(): void
}

export interface RunOptions {
  /** Shell commands in front: mounts of the test's own. */
  readonly before?: string
  readonly env?: Readonly<Record<string, string>>
}

export interface HostResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

const ETC = [
  ...[
    'alternatives/awk',
    'group',
    'gshadow',
    'ld.so.cache',
    'localtime',
    'nsswitch.conf',
    'passwd',
  ],
  ...['protocols', 'services', 'shadow', 'ssl/openssl.cnf'],
]
const POSTFIX = ['dynamicmaps.cf', 'dynamicmaps.cf.d', 'postfix-files', 'postfix-files.d']
const QUEUES = [
  ...['active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming'],
  ...['saved', 'trace'],
]
const UP = [
  'ip link set lo up',
  'ip addr add 192.0.2.10/32 dev lo',
  'ip route add local 203.0.113.0/24 dev lo',
  'ip route add local 192.168.203.0/24 dev lo',
  // A kernel without IPv6 has its tests, too.
  '{ ip -6 addr add 2001:db8::9/128 dev lo nodad || true; }',
]

/** Why there can be no such host, or false. On CI that is a failure, not a skip. */
export function mailHostMissing(): string | false {
  const tried = spawnSync('unshare', [...SPACES, 'sh', '-c', [...UP, 'postconf -d'].join(' && ')], {
    encoding: 'utf8',
    env: environment(),
  })
  if (tried.status === 0) return false
  const reason = `namespaces and Postfix are needed: ${tried.stderr || tried.error}`
  if (process.env.CI) throw new Error(reason)
  return reason
}

const SPACES = ['--net', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child']

export function makeMailHost(files: Readonly<Record<string, string | Buffer>>): MailHost {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'mail-host-'))
  fs.chmodSync(directory, 0o755)
  const file = (name: string) => path.join(directory, name)
  for (const name of ETC) copy(`/etc/${name}`, file(`etc/${name}`))
  for (const name of POSTFIX) copy(`/etc/postfix/${name}`, file(`etc/postfix/${name}`))
  fs.writeFileSync(file('etc/hosts'), '127.0.0.1 localhost dovecot\n::1 localhost\n')
  fs.writeFileSync(file('etc/resolv.conf'), 'nameserver 127.0.0.1\n')
  for (const folder of ['spool', 'lib', 'run']) fs.mkdirSync(file(folder))
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(file(name)), { recursive: true })
    fs.writeFileSync(file(name), text)
  }
  for (const name of fs.readdirSync(file('etc')).filter(one => one.startsWith('postfix'))) {
    prepare(name)
  }
  return {
    directory,
    file,
    run: (argv, { before, env } = {}) =>
      new Promise(resolve => {
        const steps = [...UP, ...MOUNTS, ...(before === undefined ? [] : [before]), '"$@"']
        // The shell stays: as the first process it takes leave of Postfix's orphans.
        const script = `H=${directory}; ${steps.join(' && ')}; exit $?`
        const all = [...SPACES, '--mount-proc', 'sh', '-c', script, 'sh', ...argv]
        const options = { encoding: 'utf8', env: environment(env), maxBuffer: 32 << 20 } as const
        execFile('unshare', all, { ...options, timeout: 110_000 }, (error, stdout, stderr) => {
          const status = error ? (typeof error.code === 'number' ? error.code : 1) : 0
          resolve({ status, stdout, stderr })
        })
      }),
    remove: () => fs.rmSync(directory, { recursive: true, force: true }),
  }

  /** Queue and data of an instance, as `postfix check` and Debian's unit would leave them. */
  function prepare(name: string): void {
    for (const one of ['dynamicmaps.cf', 'dynamicmaps.cf.d']) {
      copy(`/etc/postfix/${one}`, file(`etc/${name}/${one}`))
    }
    const [spool, data] = [file(`spool/${name}`), file(`lib/${name}`)]
    const own = [...QUEUES, 'private', 'public', 'maildrop'].map(one => `${spool}/${one}`)
    for (const folder of [...own, data, `${spool}/etc`, `${spool}/pid`]) {
      fs.mkdirSync(folder, { recursive: true })
    }
    for (const one of ['hosts', 'resolv.conf', 'services', 'nsswitch.conf', 'localtime']) {
      copy(file(`etc/${one}`), `${spool}/etc/${one}`)
    }
    for (const folder of own) fs.chmodSync(folder, 0o700)
    execFileSync('chown', ['postfix', data, ...own])
    execFileSync('chgrp', ['postdrop', `${spool}/public`, `${spool}/maildrop`])
    fs.chmodSync(`${spool}/public`, 0o710)
    fs.chmodSync(`${spool}/maildrop`, 0o1730)
    // A main.cf of this very second makes every program of Postfix wait.
    fs.utimesSync(file(`etc/${name}/main.cf`), 1, 1)
  }
}

const MOUNTS = [
  'mount --bind $H/etc /etc',
  'mount --bind $H/spool /var/spool',
  'mount --bind $H/lib /var/lib',
  'mount --bind $H/run /run',
]

function copy(from: string, to: string): void {
  if (!fs.existsSync(from) || from === to) return
  fs.mkdirSync(path.dirname(to), { recursive: true })
  fs.cpSync(from, to, { recursive: true, verbatimSymlinks: true })
}

function environment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const { MAIL_CONFIG: _, NODE_EXTRA_CA_CERTS: _certificates, ...env } = process.env
  return { ...env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`, ...more }
}
