/** What Debian's mtpolicyd leaves behind, taken over below a directory of its own. */

import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { checkConfiguration } from '../../daemon/assembly/configuration.ts'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { openRegistry } from '../../daemon/registry/registry.ts'
import { isGenerated } from '../../daemon/registry/template-files.ts'
import { openSqlite } from '../../daemon/system/sqlite.ts'
import { runCommand } from '../support/command.ts'

const DATABASE = '/var/lib/mtpolicyd/mtpolicyd.sqlite'

const quota = (port = '127.0.0.1:12345', more = '', database = DATABASE): string => `
user=mtpolicyd
pid_file="/var/run/mtpolicyd/mtpolicyd.pid"
log_file = /var/log/mtpolicyd.log
port="${port}"
${more}
<Connection db>
  module = "Sql"
  dsn = "dbi:SQLite:dbname=${database}"
</Connection>
<VirtualHost 12345>
  name = "quota"
  <Plugin acct>
    module = "Accounting"
    fields = "sasl_username"
  </Plugin>
</VirtualHost>
`

/** A host with these files, and what takes them over there. */
function host(t: Test, files: Readonly<Record<string, string>>) {
  const root = mkdtempSync(join(tmpdir(), 'takeover-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  for (const [path, text] of Object.entries(files)) write(path, text)
  const paths = pathsBelow(root)
  const said: string[] = []
  let shipped = ''
  return {
    root,
    paths,
    write,
    /** As its package brought it. */
    shipped(text: string) {
      shipped = createHash('md5').update(text).digest('hex')
    },
    said: () => said.join(''),
    read: (path: string) => readFileSync(join(root, path), 'utf8'),
    has: (path: string) => existsSync(join(root, path)),
    variable: (name: string) => openRegistry({ root, env: {} }).snapshot().merged.get(name),
    run: (...argv: string[]) =>
      runCommand(['takeover', ...argv], {
        root,
        out: text => said.push(text),
        err: text => said.push(text),
        run: async () => {
          const stdout = shipped === '' ? '' : ` /${CONF} ${shipped}\n`
          return { status: 0, stdout, stderr: '' }
        },
        configuration: {
          check: async () => ({ file: '', notices: [], problems: [] }),
          checkText: (file, text) => checkConfiguration(paths, file, text),
          onDisk: async () => [],
        },
      }),
  }
}

/** As the original makes it: a table without a key of its own. */
function countersAt(path: string, count: number): void {
  mkdirSync(dirname(path), { recursive: true })
  const db = openSqlite(path, 0)
  db.exec(
    'CREATE TABLE acct_sasl_username (`key` TEXT, `time` TEXT, `count` INT, count_rcpt INT, size INT, size_rcpt INT)',
  )
  for (let user = 0; user < count; user++) {
    db.prepare("INSERT INTO acct_sasl_username VALUES (?, '2026-11', 5, 5, 1, 1)").run(`u${user}`)
  }
  db.close()
}

const CONF = 'etc/mtpolicyd/mtpolicyd.conf'
const OURS = 'etc/univention-mtpolicyd/mtpolicyd.conf'

t.test('without an original there is nothing to do', async t => {
  const one = host(t, {})
  t.equal(await one.run(), 0)
  t.match(one.said(), /nothing to take over/)
  t.notOk(one.has('etc/univention-mtpolicyd'))
})

t.test('a configuration this version can do is copied with its counters, and used', async t => {
  const one = host(t, { [CONF]: quota() })
  countersAt(join(one.root, DATABASE), 3)
  t.equal(await one.run(), 0)
  const text = one.read(OURS)
  t.match(text, `dbname=${one.root}/var/lib/univention-mtpolicyd/mtpolicyd.sqlite"`)
  t.notMatch(text, '/var/lib/mtpolicyd/')
  t.match(text, /^#pid_file=/m, 'the unit could not write it there')
  t.match(text, /^#log_file = /m)
  t.match(one.said(), /copied: .*mtpolicyd\.sqlite, 3 counters\n/)
  t.match(one.said(), /^used: a copy of .*\. Host variables have no effect\.$/m)
  const copy = openSqlite(join(one.paths.state, 'mtpolicyd.sqlite'), 0)
  t.same(copy.prepare('SELECT count(*) AS n FROM acct_sasl_username').get(), { n: 3 })
  copy.close()
  t.equal(statSync(join(one.paths.state, 'mtpolicyd.sqlite')).mode & 0o777, 0o640)
  t.equal(one.variable('mtpolicyd/postfix/register'), 'false', 'Postfix queries it already')
  t.equal(one.variable('mtpolicyd/port'), '12345')
  t.equal(one.read(CONF), quota(), 'the original is as before')
})

t.test('it is done once: a later call leaves alone what the administrator made of it', async t => {
  const one = host(t, { [CONF]: quota() })
  await one.run()
  one.write(OURS, '# mine\n')
  t.equal(await one.run(), 0)
  t.equal(one.read(OURS), '# mine\n')
  t.match(one.said(), /already taken over/)
})

t.test('a configuration with a plugin we have not is kept beside, with every reason', async t => {
  const more = '<VirtualHost 1>\nname=x\n<Plugin own>\nmodule="MyOwn"\n</Plugin>\n</VirtualHost>'
  const one = host(t, { [CONF]: quota('127.0.0.1:12350,127.0.0.1:12351', more) })
  t.equal(await one.run(), 0)
  t.ok(isGenerated(one.read(OURS)), 'the variables are in effect')
  t.ok(one.has(`${OURS}.from-mtpolicyd`))
  t.match(one.said(), /from-mtpolicyd:\d+:\d+: error: there is no plugin "MyOwn"/)
  t.match(one.said(), /^not used: this version cannot do everything in/m)
  t.equal(one.variable('mtpolicyd/port'), '12350', 'where Postfix connects is answered')
  t.match(one.said(), /^NO LONGER ANSWERED: 127\.0\.0\.1:12351\./m)
})

t.test('a configuration that nobody ever changed does not displace the variables', async t => {
  const one = host(t, { [CONF]: quota() })
  one.shipped(quota())
  t.equal(await one.run(), 0)
  t.notOk(one.has(OURS))
  t.match(one.said(), /is as its package shipped it\.\nThe host variables are in effect\.$/m)
  t.equal(one.variable('mtpolicyd/postfix/register'), 'true')
})

t.test('a hand-written configuration of ours stays', async t => {
  const one = host(t, { [CONF]: quota(), [OURS]: '# mine\n' })
  t.equal(await one.run(), 0)
  t.equal(one.read(OURS), '# mine\n')
  t.ok(one.has(`${OURS}.from-mtpolicyd`))
  t.match(one.said(), /^not used: .*mtpolicyd\.conf was written by hand\.$/m)
})

t.test('a unix socket of the original is the reason why its copy is not used', async t => {
  const one = host(t, { [CONF]: quota('/var/run/mtpolicyd/s|unix,127.0.0.1:12345') })
  t.equal(await one.run(), 0)
  t.notOk(one.has(OURS))
  t.match(
    one.said(),
    /^not used: it listens on a unix socket \(\/var\/run\/mtpolicyd\/s\|unix\), which this unit does not offer\.$/m,
  )
  t.notMatch(one.said(), /cannot do everything|mtpolicyctl check/, 'check would find nothing wrong')
  t.match(one.said(), /NO LONGER ANSWERED: \/var\/run\/mtpolicyd\/s\|unix/)
})

t.test('included files come along, apart from our own', async t => {
  const one = host(t, {
    [CONF]: quota(undefined, '<<include conf.d/*.conf>>\n<<include /etc/mtpolicyd/more.rc>>'),
    'etc/mtpolicyd/conf.d/a.conf': 'max_keepalive = 7\n',
  })
  one.write(
    CONF,
    one.read(CONF).replace('/etc/mtpolicyd/more.rc', `${one.root}/etc/mtpolicyd/more.rc`),
  )
  one.write('etc/mtpolicyd/more.rc', 'request_timeout = 3\n')
  t.equal(await one.run(), 0)
  const folder = 'etc/univention-mtpolicyd/from-mtpolicyd'
  t.equal(one.read(`${folder}/conf.d/a.conf`), 'max_keepalive = 7\n')
  t.ok(one.has(`${folder}/more.rc`))
  t.match(one.read(OURS), `<<include ${one.root}/${folder}/conf.d/*.conf>>`)
  t.match(one.read(OURS), `<<include ${one.root}/${folder}/more.rc>>`)
  t.notOk(one.has('etc/univention-mtpolicyd/conf.d'))
})

t.test('a database elsewhere is copied if it has counters, and left alone if not', async t => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'takeover-db-'))
  t.teardown(() => rmSync(elsewhere, { recursive: true, force: true }))
  const one = host(t, {})
  // Below the root, as the program looks there; written as it is.
  const counters = join(one.root, 'srv/counters.db')
  countersAt(counters, 1)
  const lists = join(one.root, 'srv/lists.db')
  mkdirSync(dirname(lists), { recursive: true })
  const db = openSqlite(lists, 0)
  db.exec('CREATE TABLE blocked (name TEXT)')
  db.close()
  const second = `<Connection lists>\nmodule=Sql\ndsn=dbi:SQLite:${lists}\n</Connection>`
  one.write(CONF, quota(undefined, second, counters))
  t.equal(await one.run(), 0)
  t.match(one.read(OURS), join(one.paths.state, 'counters.db'))
  t.match(one.read(OURS), `dbi:SQLite:${lists}`)
})

t.test('what cannot be copied is said, nothing is used, and it can be tried again', async t => {
  const one = host(t, { [CONF]: quota() })
  countersAt(join(one.root, DATABASE), 1)
  one.write('var/lib/univention-mtpolicyd/mtpolicyd.sqlite', 'something else')
  t.equal(await one.run(), 1)
  t.match(one.said(), /mtpolicyd\.sqlite cannot be copied to .*EEXIST/)
  t.match(one.said(), /once this is fixed, run: mtpolicyctl takeover/)
  t.notOk(one.has(OURS))
  t.equal(one.read('var/lib/univention-mtpolicyd/mtpolicyd.sqlite'), 'something else')
  rmSync(join(one.paths.state, 'mtpolicyd.sqlite'))
  t.equal(await one.run(), 0)
  t.ok(one.has(OURS))
})

t.test('a failure at the very end leaves everything as it was, and can be tried again', async t => {
  const rendered = '# as it was rendered\n'
  const one = host(t, {
    [CONF]: quota(undefined, '<<include conf.d/*.conf>>'),
    'etc/mtpolicyd/conf.d/a.conf': 'max_keepalive = 7\n',
  })
  countersAt(join(one.root, DATABASE), 1)
  // One of ours that was rendered from the variables is replaced, and comes back.
  await runCommand(['commit'], { root: one.root })
  const before = existsSync(join(one.root, OURS)) ? one.read(OURS) : rendered
  if (before === rendered) one.write(OURS, rendered)
  // Written last of all: a folder is in the way.
  const inTheWay = `${OURS}.from-mtpolicyd.new/x`
  one.write(inTheWay, '')
  t.equal(await one.run(), 1)
  t.equal(one.read(OURS), before)
  t.notOk(one.has('etc/univention-mtpolicyd/from-mtpolicyd'))
  t.notOk(one.has('var/lib/univention-mtpolicyd/mtpolicyd.sqlite'))
  rmSync(dirname(join(one.root, inTheWay)), { recursive: true })
  t.equal(await one.run(), 0)
  t.match(one.said(), /^used: /m)
  t.ok(one.has('etc/univention-mtpolicyd/from-mtpolicyd/conf.d/a.conf'))
})

t.test('the reasons are in the JSON as well', async t => {
  const one = host(t, { [CONF]: quota('/run/s|unix') })
  t.equal(await one.run('--json'), 0)
  t.match(JSON.parse(one.said()), {
    outcome: 'left',
    why: [{ kind: 'socket', endpoint: { path: '/run/s' } }],
    assignments: [],
  })
})

t.test('a database that is damaged is said, and nothing is left behind', async t => {
  const one = host(t, { [CONF]: quota() })
  one.write(DATABASE.slice(1), `SQLite format 3\0${'x'.repeat(5000)}`)
  t.equal(await one.run(), 1)
  t.match(one.said(), /cannot be copied/)
  t.notOk(one.has('var/lib/univention-mtpolicyd'))
  t.notOk(one.has('etc/univention-mtpolicyd'))
})
