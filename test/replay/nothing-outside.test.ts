/** A replay with every plugin that has an outside reaches none of it, and says which plugins were skipped. */

import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { pathsBelow } from '../../daemon/assembly/paths.ts'
import { recordedRequests } from '../support/recorded-requests.ts'

const top = join(import.meta.dirname, '../..')

/** Where nobody may be asked: one server that counts who comes. */
async function listener(t: Test): Promise<{ readonly port: number; readonly came: () => number }> {
  let came = 0
  const server = createServer(socket => {
    came++
    socket.destroy()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { port, came: () => came }
}

const configuration = (port: number): string => `
port = "127.0.0.1:12345"
log_file = "/nowhere/mtpolicyd.log"
<Connection db>
module = Sql
dsn = "dbi:Pg:dbname=mail;host=127.0.0.1;port=${port}"
</Connection>
<Connection memcached>
module = Memcached
servers = "127.0.0.1:${port}"
</Connection>
<Connection redis>
module = Redis
server = "127.0.0.1:${port}"
</Connection>
<Connection ldap>
module = Ldap
host = "127.0.0.1"
port = ${port}
</Connection>
<SessionCache>
module = Memcached
</SessionCache>
<VirtualHost 12345>
name = v
<Plugin ban>
module = Fail2Ban
socket = /nowhere/fail2ban.sock
</Plugin>
<Plugin rbl>
module = RBL
domain = zen.example.org
</Plugin>
<Plugin dbl>
module = DBL
domain = dbl.example.org
</Plugin>
<Plugin spf>
module = SPF
</Plugin>
<Plugin verify>
module = SMTPVerify
host = 127.0.0.1
port = ${port}
</Plugin>
<Plugin proxy>
module = Proxy
host = "127.0.0.1:${port}"
</Plugin>
<Plugin reputation>
module = CtIpRep
url = "http://127.0.0.1:${port}/iprep"
</Plugin>
<Plugin map>
module = PostfixMap
db_file = "mysql:/etc/postfix/clients.cf"
match_action = reject
</Plugin>
<Plugin list>
module = SqlList
sql_query = "SELECT 1 FROM blocked WHERE address = ?"
match_action = reject
</Plugin>
<Plugin userconfig>
module = SqlUserConfig
sql_query = "SELECT config FROM user_config WHERE address=?"
</Plugin>
<Plugin directory>
module = LdapUserConfig
basedn = "dc=example,dc=org"
filter = "(mail=%s)"
filter_field = "sasl_username"
config_fields = "limit"
</Plugin>
<Plugin accounting>
module = Accounting
fields = "sasl_username"
</Plugin>
<Plugin quota>
module = Quota
field = sasl_username
metric = count
threshold = 20
</Plugin>
<Plugin greylist>
module = Greylist
authenticated = on
min_retry_wait = 60
<Ticket>
module = Memcached
</Ticket>
<AWL>
module = Sql
</AWL>
</Plugin>
<Plugin limit>
module = SendingLimit
threshold = 6
</Plugin>
</VirtualHost>
`

interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Without what tap loads into every process. */
const bare = ['-i', 'TZ=UTC', process.execPath]

/** mtpolicyctl, which may read files, and nothing else. */
function guarded(...argv: string[]): Promise<Ended> {
  const node = ['--permission', '--allow-fs-read=*', '--allow-addons', '--no-warnings']
  const guard = ['--import', join(top, 'test/support/only-reads.ts')]
  const program = join(top, 'daemon/cli/main.ts')
  return new Promise(resolve => {
    execFile('env', [...bare, ...node, ...guard, program, ...argv], (error, stdout, stderr) => {
      resolve({ status: Number(error?.code ?? 0), stdout, stderr })
    })
  })
}

/** Every file below a folder with its size and time. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .map(name => {
      const { size, mtimeMs } = statSync(join(folder, name))
      return `${name} ${size} ${mtimeMs}`
    })
}

t.test('nothing outside is reached, and what needs it is named', async t => {
  const root = mkdtempSync(join(tmpdir(), 'replay-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const paths = pathsBelow(root)
  mkdirSync(paths.state, { recursive: true })
  writeFileSync(paths.ledger, 'not to be opened')
  const { port, came } = await listener(t)
  const file = join(root, 'outside.conf')
  writeFileSync(file, configuration(port))
  const trace = join(root, 'trace.jsonl')
  const lines = recordedRequests({ count: 800, begin: Date.UTC(2026, 10, 20), hours: 5, seed: 1 })
  writeFileSync(trace, lines.join('\n'))
  const before = filesBelow(root)

  const run = await guarded('--root', root, 'replay', '--config', file, trace)
  t.equal(run.status, 0)
  t.equal(run.stderr, '')
  for (const name of ['ban', 'rbl', 'dbl', 'spf', 'verify', 'proxy', 'reputation', 'map', 'list']) {
    t.match(run.stdout, new RegExp(`^Plugin ${name} skipped 800 times: `, 'm'))
  }
  for (const name of ['userconfig', 'directory']) {
    t.match(run.stdout, new RegExp(`^Plugin ${name} skipped [\\d,]+ times: `, 'm'))
  }
  t.notMatch(run.stdout, /Plugin \w+ failed/)
  t.match(run.stdout, / greylist\b/, 'tickets are kept in memory')
  const wide = run.stdout.split('\n').filter(line => line.length > 80)
  t.strictSame(wide, [])
  t.equal(came(), 0)
  t.strictSame(filesBelow(root), before)

  const json = await guarded('--root', root, 'replay', '--json', '--config', file, trace)
  const answers = json.stdout.split('\n').map(line => line && JSON.parse(line).by)
  for (const by of ['greylist', 'quota', 'limit']) t.ok(answers.includes(by), `${by} has decided`)
})

t.test('the guard would tell', async t => {
  const { port } = await listener(t)
  const script = `require('net').connect(${port}, '127.0.0.1')`
  const guard = ['--import', join(top, 'test/support/only-reads.ts')]
  const said = await new Promise<string>(resolve => {
    execFile('env', [...bare, ...guard, '-e', script], (_, __, stderr) => resolve(stderr))
  })
  t.match(said, /^TRIED a connection$/m)
})
