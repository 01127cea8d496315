/** What purging the package leaves of users' data, also where the state directory is a link to another disk. */

import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { pathsBelow } from '../../daemon/assembly/paths.ts'

const NAME = 'univention-mtpolicyd'
const postrm = readFileSync(join(import.meta.dirname, `../../debian/${NAME}.postrm`), 'utf8')

/** A host with all that the daemon and mtpolicyctl write there. */
function host(t: Test) {
  const root = mkdtempSync(join(tmpdir(), 'purge-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const paths = pathsBelow(root)
  const { ledger, history, measures, state } = paths
  const names = [
    ...[ledger, history].flatMap(file => [file, `${file}-wal`, `${file}-shm`]),
    `${ledger}.backup`,
    `${ledger}.damaged-2026-12-01T120000000Z`,
    join(state, 'ledger.journal-0'),
    join(state, 'history.spool-1'),
    `${history}.damaged-2026-12-01T120000000Z`,
    measures,
    `${measures}.new`,
    `${measures}.damaged-2026-12-01T120000000Z`,
    join(state, 'country.mmdb'),
    join(state, 'postfix.json'),
    join(state, '.postfix.lock'),
  ].map(file => basename(file))
  return {
    root,
    state,
    fill(folder: string) {
      mkdirSync(folder, { recursive: true })
      for (const name of names) writeFileSync(join(folder, name), '')
    },
    purge() {
      const here = postrm
        .replace(/(?<=[\s"=])\/(?=(?:etc|run|var|usr)\/)/g, `${root}/`)
        .replace('[ -d /run/systemd/system ]', 'false')
      // It runs as root: nothing of this host.
      const code = here.replace(/^\s*#.*$/gm, '')
      if (/[\s"=]\/(?:etc|run|usr|var)\//.test(code)) throw new Error('a path of this host')
      execFileSync('sh', ['-s', 'purge'], { input: here, stdio: ['pipe', 'pipe', 'pipe'] })
    },
  }
}

t.test('nothing is left in the state directory', async t => {
  const { state, fill, purge } = host(t)
  fill(state)
  purge()
  t.notOk(existsSync(state))
})

t.test('nothing is left on another disk', async t => {
  const { root, state, fill, purge } = host(t)
  const elsewhere = join(root, 'srv/state')
  fill(elsewhere)
  mkdirSync(join(root, 'var/lib'), { recursive: true })
  symlinkSync(elsewhere, state)
  purge()
  t.notOk(existsSync(elsewhere), existsSync(elsewhere) ? readdirSync(elsewhere).join(' ') : '')
})

t.test("an administrator's own files on that disk are kept", async t => {
  const { root, state, fill, purge } = host(t)
  const elsewhere = join(root, 'srv/state')
  fill(elsewhere)
  writeFileSync(join(elsewhere, 'notes'), '')
  mkdirSync(join(root, 'var/lib'), { recursive: true })
  symlinkSync(elsewhere, state)
  purge()
  t.strictSame(readdirSync(elsewhere), ['notes'])
})
