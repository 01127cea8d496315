/**
 * A UCS server for tests: a root with a stand-in for UCR, whose mail templates render into a real,
 * private Postfix, and with what our package puts there. See fake-ucr.py for what is imitated.
 *
 *   const ucs = await createFakeUcs({ 'mail/postfix/greylisting': 'true' })
 *   ucs.ucr('set', 'mtpolicyd/threshold=200')
 *   ucs.mtpolicyctl('postfix', 'register')
 */

import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import type { UcrAccess } from '../../daemon/postfix/registration/registration.ts'
import { openRegistry } from '../../daemon/registry/registry.ts'
import { createPostfixRig, type PostfixRig, postfixRigMissing } from './postfix-rig.ts'

const top = path.join(import.meta.dirname, '../..')
const INBOUND = 'mail/postfix/smtpd/restrictions/recipient'
const OPTIONS = 'mail/postfix/mastercf/options'

/** What UCS's mail package sets at its installation. */
const DEFAULTS: Readonly<Record<string, string>> = {
  [`${INBOUND}/10`]: 'permit_mynetworks',
  [`${INBOUND}/30`]: 'permit_sasl_authenticated',
  [`${INBOUND}/50`]: 'reject_unauth_destination',
  [`${INBOUND}/70`]: 'reject_unlisted_recipient',
  [`${OPTIONS}/smtps/smtpd_tls_wrappermode`]: 'yes',
  [`${OPTIONS}/smtps/smtpd_sasl_auth_enable`]: 'yes',
  [`${OPTIONS}/submission/smtpd_sasl_auth_enable`]: 'yes',
}

export interface FakeUcs {
  readonly root: string
  readonly rig: PostfixRig
  readonly access: UcrAccess
  ucr(...argv: string[]): { readonly status: number; readonly said: string }
  mtpolicyctl(...argv: string[]): { readonly status: number; readonly said: string }
  get(key: string): string
  /** The normal layer anew; everything is rendered. */
  reset(values?: Readonly<Record<string, string>>): void
  /** What must be as before after an undo: UCR's values, main.cf and master.cf. */
  files(): { readonly main: string; readonly master: string; readonly normal: string }
}

export function fakeUcsMissing(): string | false {
  const missing = postfixRigMissing()
  if (missing) return missing
  const { status } = spawnSync('python3', ['-c', 'pass'])
  if (status === 0) return false
  if (process.env.CI) throw new Error('UCR’s module needs python3')
  return 'UCR’s module needs python3'
}

export async function createFakeUcs(): Promise<FakeUcs> {
  const rig = await createPostfixRig()
  const root = path.join(rig.directory, 'ucs')
  const etc = path.join(root, 'etc/univention')
  for (const folder of ['usr/sbin', 'var/lib/dpkg', 'etc/univention/templates/info']) {
    fs.mkdirSync(path.join(root, folder), { recursive: true })
  }
  fs.symlinkSync(rig.configDirectory, path.join(root, 'etc/postfix'))
  fs.writeFileSync(path.join(etc, 'templates/info/univention-mail-postfix.info'), '')
  fs.writeFileSync(
    path.join(root, 'var/lib/dpkg/diversions'),
    '/etc/postfix/main.cf\n/etc/postfix/main.cf.debian\n:\n',
  )
  installPackage(etc)
  const program = path.join(root, 'usr/sbin/ucr')
  const control = path.join(root, 'usr/sbin/mtpolicyctl')
  script(program, 'python3', path.join(import.meta.dirname, 'fake-ucr.py'), root)
  // Started two dozen times: what one start has compiled the next one need not.
  const cache = `NODE_COMPILE_CACHE=${path.join(rig.directory, 'cache')}`
  script(
    control,
    'env',
    cache,
    process.execPath,
    path.join(top, 'daemon/cli/main.ts'),
    '--root',
    root,
  )
  makeBases(rig)

  const registry = openRegistry({ root, env: {} })
  const call = (file: string, argv: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync(file, argv, { encoding: 'utf8' })
    return { status: status ?? -1, said: stdout + stderr }
  }
  const ucs: FakeUcs = {
    root,
    rig,
    access: { program, root, view: () => registry.snapshot(), mayComplete: true },
    ucr: (...argv) => call(program, argv),
    mtpolicyctl: (...argv) => call(control, argv),
    get: key => execFileSync(program, ['get', key], { encoding: 'utf8' }).trim(),
    reset(values = {}) {
      const all = Object.entries({ ...DEFAULTS, ...values }).map(pair => pair.join(': '))
      for (const name of fs.readdirSync(etc)) {
        if (name.startsWith('base')) fs.rmSync(path.join(etc, name))
      }
      const head = '# univention_ base.conf\n\n'
      fs.writeFileSync(path.join(etc, 'base.conf'), head + all.sort().join('\n'))
      ucs.ucr('commit')
    },
    files() {
      const read = (file: string) => fs.readFileSync(file, 'utf8')
      return {
        main: read(rig.mainCf),
        master: read(rig.masterCf),
        normal: read(path.join(etc, 'base.conf')),
      }
    },
  }
  ucs.reset()
  return ucs
}

/** Where debian/rules puts it. */
function installPackage(etc: string): void {
  const ucr = path.join(top, 'debian/ucr')
  const places = {
    'univention-mtpolicyd.info': 'templates/info',
    'modules/univention_mtpolicyd.py': 'templates/modules',
    'variables/univention-mtpolicyd.cfg': 'registry.info/variables',
  }
  for (const [file, place] of Object.entries(places)) {
    fs.cpSync(path.join(ucr, file), path.join(etc, place, path.basename(file)))
  }
}

/** The rig's files as templates: the services' options come from UCR. */
function makeBases(rig: PostfixRig): void {
  const main = fs.readFileSync(rig.mainCf, 'utf8')
  fs.writeFileSync(
    `${rig.mainCf}.base`,
    `# Warning: This file is auto-generated and might be overwritten by\n#          univention-config-registry.\n${main}`,
  )
  let master = fs.readFileSync(rig.masterCf, 'utf8').replace(/^ +-o smtpd_.*\n/gm, '')
  for (const [service, port] of Object.entries(rig.ports)) {
    master = master.replace(new RegExp(`^${port} .*$`, 'm'), line => `${line} @${service}@`)
  }
  fs.writeFileSync(`${rig.masterCf}.base`, master)
}

function script(file: string, ...command: string[]): void {
  fs.writeFileSync(file, `#!/bin/sh\nexec ${command.map(word => `'${word}'`).join(' ')} "$@"\n`)
  fs.chmodSync(file, 0o755)
}
