/** What Debian's mtpolicyd leaves behind, taken over below a directory of its own. */

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
import { takeOver } from '../../daemon/cli/takeover.ts'
import { takeoverCommand } from '../../daemon/cli/takeover-command.ts'
import { checkConfiguration } from '../../daemon/configuration.ts'
import { pathsBelow } from '../../daemon/paths.ts'
import { isGenerated } from '../../daemon/registry/template-files.ts'
import { openSqlite } from '../../daemon/store/sqlite.ts'

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
  const assignments: string[] = []
  const said: string[] = []
  let isChanged = true
  return {
    root,
    paths,
    assignments,
    write,
    shipped: () => {
      isChanged = false
    },
    said: () => said.join(''),
    read: (path: string) => readFileSync(join(root, path), 'utf8'),
    has: (path: string) => existsSync(join(root, path)),
    run: (...argv: string[]) =>
      takeoverCommand(argv, {
        out: text => said.push(text),
        err: text => said.push(text),
        takeOver: () =>
          takeOver({
            paths,
            isChanged: async () => isChanged,
            check: (file, text) => checkConfiguration(paths, file, text),
            isGenerated,
          }),
        set: async given => {
          assignments.push(...given)
          return true
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
  t.match(one.said(), /^used: /m)
  const copy = openSqlite(join(one.paths.state, 'mtpolicyd.sqlite'), 0)
  t.same(copy.prepare('SELECT count(*) AS n FROM acct_sasl_username').get(), { n: 3 })
  copy.close()
  t.equal(statSync(join(one.paths.state, 'mtpolicyd.sqlite')).mode & 0o777, 0o640)
  t.same(one.assignments, ['mtpolicyd/postfix/register=false'], 'Postfix asks already')
  t.equal(one.read(CONF), quota(), 'the original is as before')
})

t.test('it is done once: a later call leaves alone what the administrator made of it', async t => {
  const one = host(t, { [CONF]: quota() })
  await one.run()
  one.write(OURS, '# mine\n')
  t.equal(await one.run(), 0)
  t.equal(one.read(OURS), '# mine\n')
  t.match(one.said(), /taken over already/)
})

t.test('a configuration with a plugin we have not is kept beside, with every reason', async t => {
  const more = '<VirtualHost 1>\nname=x\n<Plugin own>\nmodule="MyOwn"\n</Plugin>\n</VirtualHost>'
  const one = host(t, { [CONF]: quota('127.0.0.1:12350,127.0.0.1:12351', more) })
  t.equal(await one.run(), 0)
  t.notOk(one.has(OURS))
  t.ok(one.has(`${OURS}.from-mtpolicyd`))
  t.match(one.said(), /from-mtpolicyd:\d+:\d+: error: there is no plugin "MyOwn"/)
  t.match(one.said(), /^not used: this version cannot do all/m)
  t.same(one.assignments, ['mtpolicyd/port=12350'], 'what Postfix asks is answered')
  t.match(one.said(), /^NO LONGER ANSWERED: 127\.0\.0\.1:12351\./m)
})

t.test('a configuration that nobody ever changed does not displace the variables', async t => {
  const one = host(t, { [CONF]: quota() })
  one.shipped()
  t.equal(await one.run(), 0)
  t.notOk(one.has(OURS))
  t.match(one.said(), /as its package brought it; the host variables rule/)
  t.same(one.assignments, [])
})

t.test('a hand-written configuration of ours stays', async t => {
  const one = host(t, { [CONF]: quota(), [OURS]: '# mine\n' })
  t.equal(await one.run(), 0)
  t.equal(one.read(OURS), '# mine\n')
  t.ok(one.has(`${OURS}.from-mtpolicyd`))
})

t.test('a socket of the original cannot be served: the variables rule, and it is said', async t => {
  const one = host(t, { [CONF]: quota('/var/run/mtpolicyd/s|unix,127.0.0.1:12345') })
  t.equal(await one.run(), 0)
  t.notOk(one.has(OURS))
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
  t.match(one.said(), /when this is mended: mtpolicyctl takeover/)
  t.notOk(one.has(OURS))
  t.equal(one.read('var/lib/univention-mtpolicyd/mtpolicyd.sqlite'), 'something else')
  rmSync(join(one.paths.state, 'mtpolicyd.sqlite'))
  t.equal(await one.run(), 0)
  t.ok(one.has(OURS))
})

t.test('a database that is damaged is said, and nothing is left behind', async t => {
  const one = host(t, { [CONF]: quota() })
  one.write(DATABASE.slice(1), `SQLite format 3\0${'x'.repeat(5000)}`)
  t.equal(await one.run(), 1)
  t.match(one.said(), /cannot be copied/)
  t.notOk(one.has('var/lib/univention-mtpolicyd/mtpolicyd.sqlite'))
})
