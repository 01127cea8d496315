/** What a configuration of mtpolicyd names, its rewriting at places, and what comes of it. */

import t from 'tap'
import { parseConfig } from '../../daemon/config/parser.ts'
import { takeInventory } from '../../daemon/migration/inventory.ts'
import { outcomeOf } from '../../daemon/migration/outcome.ts'
import { rewrite } from '../../daemon/migration/rewrite.ts'
import { plainText } from '../../daemon/text/plain-text.ts'

const FILE = '/etc/mtpolicyd/mtpolicyd.conf'

function read(text: string, others: Readonly<Record<string, string>> = {}) {
  const files: Readonly<Record<string, string>> = { ...others, [FILE]: text }
  return parseConfig(FILE, {
    read(path) {
      const found = files[path]
      if (found === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
      return found
    },
    list: () => [],
  })
}

t.test('what is named is found by value, whatever stands in comments', async t => {
  const text = `# /etc/mtpolicyd/comment
port = "127.0.0.1:12345,/run/s|unix"
pid_file = /run/mtpolicyd.pid
log_file = Sys::Syslog
<Connection a>
  dsn = "dbi:SQLite:dbname=/srv/a.sqlite;timeout=5"
</Connection>
<Connection b>
  dsn = dbi:SQLite:/srv/b.sqlite
</Connection>
<Plugin c>
  tables = hash:/etc/mtpolicyd/one,hash:/etc/mtpolicyd/two
  remote = "dbi:Pg:dbname=/srv/not-a-file"
  other = /etc/elsewhere/three
</Plugin>
`
  const { mentions, ownFiles, endpoints } = takeInventory(read(text))
  t.strictSame(
    mentions.map(({ kind, path, from }) => `${from.line} ${kind} ${path}`),
    [
      '6 database /srv/a.sqlite',
      '9 database /srv/b.sqlite',
      '12 file /etc/mtpolicyd/one',
      '12 file /etc/mtpolicyd/two',
    ],
  )
  t.strictSame(
    ownFiles.map(({ name }) => name),
    ['pid_file'],
  )
  t.strictSame(
    endpoints.map(({ kind }) => kind),
    ['tcp', 'unix'],
  )
})

function rewritten(text: string, copies: Readonly<Record<string, string>>, more = {}): string {
  const { mentions, includes, ownFiles } = takeInventory(read(text, more))
  return rewrite(FILE, plainText(text), {
    mentions,
    includes,
    removed: ownFiles,
    replacement: path => copies[path],
    includedFrom: path => `/new/${path}`,
  })
}

t.test('only what is named is replaced, each at its place', async t => {
  const copies = { '/etc/mtpolicyd/a': '/new/a', '/etc/mtpolicyd/ab': '/new/ab' }
  for (const [what, before, after] of [
    [
      'a path that begins as another one',
      'x = /etc/mtpolicyd/ab,/etc/mtpolicyd/a # /etc/mtpolicyd/a\n',
      'x = /new/ab,/new/a # /etc/mtpolicyd/a\n',
    ],
    ['the same path twice', 'x = /etc/mtpolicyd/a /etc/mtpolicyd/a\n', 'x = /new/a /new/a\n'],
    [
      'a comment that names it before',
      '# /etc/mtpolicyd/a\nx = "/etc/mtpolicyd/a"\ny=/etc/mtpolicyd/a',
      '# /etc/mtpolicyd/a\nx = "/new/a"\ny=/new/a',
    ],
    ['a name that holds it', '/etc/mtpolicyd/a = 5\n', '/etc/mtpolicyd/a = 5\n'],
    ['a here-document', 'x <<EOT\n  hash:/etc/mtpolicyd/a\nEOT\n', 'x <<EOT\n  hash:/new/a\nEOT\n'],
    ['a value over two lines', 'x = a, \\\n  /etc/mtpolicyd/ab\n', 'x = a, \\\n  /new/ab\n'],
    ['a byte order mark', '\uFEFFx = /etc/mtpolicyd/a\n', 'x = /new/a\n'],
    [
      'CR LF',
      '\uFEFFpid_file = /run/ \\\r\n  a.pid\r\nx = /etc/mtpolicyd/a\r\n',
      '#pid_file = /run/ \\\n#  a.pid\nx = /new/a\n',
    ],
    ['what has no copy', 'x = /etc/mtpolicyd/c\n', 'x = /etc/mtpolicyd/c\n'],
    [
      'files that the original writes',
      '  pid_file = /run/a.pid\nlog_file = /var/log/ \\\n  a.log\nx = 1\n',
      '#  pid_file = /run/a.pid\n#log_file = /var/log/ \\\n#  a.log\nx = 1\n',
    ],
  ] as const) {
    t.equal(rewritten(before, copies), after, what)
  }
  const others = { '/etc/mtpolicyd/b.conf': 'y = 1\n', '/etc/mtpolicyd/include': 'z = 1\n' }
  t.equal(rewritten('<<include include>>\n', {}, others), '<<include /new/include>>\n')
  t.equal(
    rewritten('# b.conf\n<<include b.conf>>\nx = 1\n', {}, others),
    '# b.conf\n<<include /new/b.conf>>\nx = 1\n',
    'an include',
  )
})

t.test('every reason not to use the copy is given', async t => {
  const place = { file: FILE, line: 1, column: 1 }
  const problem = { severity: 'error', place, message: 'there is no plugin "X"' } as const
  const socket = { kind: 'unix', path: '/run/s' } as const
  const tcp = { kind: 'tcp', host: '127.0.0.1', port: 12_345 } as const
  const well = {
    isChanged: true,
    ownConfiguration: undefined,
    problems: [{ ...problem, severity: 'warning' } as const],
    endpoints: [tcp],
  }
  t.strictSame(outcomeOf(well), { kind: 'used' })
  t.strictSame(outcomeOf({ ...well, endpoints: [tcp, socket] }), {
    kind: 'left',
    why: [{ kind: 'socket', endpoint: socket }],
  })
  t.strictSame(
    outcomeOf({
      isChanged: false,
      ownConfiguration: '/a',
      problems: [problem],
      endpoints: [socket],
    }),
    {
      kind: 'left',
      why: [
        { kind: 'unchanged' },
        { kind: 'own-configuration', file: '/a' },
        { kind: 'problem', problem },
        { kind: 'socket', endpoint: socket },
      ],
    },
  )
})
