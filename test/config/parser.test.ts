/**
 * The reader of configuration files, from bytes to tree and messages.
 *
 * The golden folder holds one file per corner of the grammar, beside what it is read as
 * (`GOLDEN=write` writes that again; read the diff). What an editor would spoil (line ends, byte
 * order marks) and what is not a file stands here.
 */

import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { configFiles } from '../../daemon/config/files.ts'
import { matchesName } from '../../daemon/config/include.ts'
import { parseConfig } from '../../daemon/config/parser.ts'
import type { Repeatable } from '../../daemon/config/repeated.ts'
import { type Block, findOption, tagOf } from '../../daemon/config/tree.ts'
import { formatProblem } from '../../daemon/policy/problem.ts'
import { findBlocks, findOptions } from '../support/config-tree.ts'
import { runs } from '../support/fuzz.ts'

/** Files that exist only here. */
function described(files: Record<string, string>) {
  return {
    read(path: string) {
      const text = files[path]
      if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
      return text
    },
    list(directory: string) {
      const prefix = directory === '.' ? '' : `${directory}/`
      const names = Object.keys(files).filter(path => path.startsWith(prefix))
      if (names.length === 0)
        throw Object.assign(new Error('no such directory'), { code: 'ENOENT' })
      return names.map(path => path.slice(prefix.length)).filter(name => !name.includes('/'))
    },
  }
}

function read(text: string, options?: Repeatable) {
  return parseConfig('test.conf', described({ 'test.conf': text }), options)
}

function messages({ problems }: ReturnType<typeof parseConfig>) {
  return problems.map(formatProblem)
}

/** These messages and no others. */
function says(t: Test, parsed: ReturnType<typeof parseConfig>, ...expected: (RegExp | string)[]) {
  const found = messages(parsed)
  t.equal(found.length, expected.length, found.join('\n'))
  for (const [i, pattern] of expected.entries()) t.match(found[i] ?? '', pattern)
}

/** Name → value, blocks as `<Type name>` → the same. */
function plain(block: Block): Record<string, unknown> {
  return Object.fromEntries(
    block.entries.map(entry =>
      entry.kind === 'option' ? [entry.name, entry.value] : [tagOf(entry), plain(entry)],
    ),
  )
}

function describeTree(block: Block, indent = ''): string {
  const lines = block.entries.map(entry => {
    const { line, column } = entry.place
    if (entry.kind === 'block') {
      const name = entry.name === undefined ? '' : ` ${JSON.stringify(entry.name)}`
      const head = `${indent}${line}:${column} block ${JSON.stringify(entry.type)}${name}\n`
      return head + describeTree(entry, `${indent}  `)
    }
    const at = `${entry.valuePlace.line}:${entry.valuePlace.column}`
    const value = entry.value === undefined ? '' : ` = ${at} ${JSON.stringify(entry.value)}`
    return `${indent}${line}:${column} ${JSON.stringify(entry.name)}${value}\n`
  })
  return lines.join('')
}

t.test('every corner of the grammar is read as recorded', async t => {
  const folder = join(import.meta.dirname, '../golden/config')
  const inFolder = {
    read: (path: string) => configFiles.read(join(folder, path)),
    list: (directory: string) => configFiles.list(join(folder, directory)),
  }
  for (const file of readdirSync(folder).filter(name => name.endsWith('.conf'))) {
    const { root, problems, files } = parseConfig(file, inFolder)
    const parts = [
      describeTree(root),
      problems.map(problem => `${problem.severity} ${formatProblem(problem)}\n`).join(''),
      files.length > 1 ? files.map(name => `read ${name}\n`).join('') : '',
    ]
    const seen = parts.filter(part => part !== '').join('--\n')
    const out = join(folder, file.replace(/conf$/, 'out'))
    if (process.env.GOLDEN === 'write') writeFileSync(out, seen)
    t.equal(seen, readFileSync(out, 'utf8'), file)
  }
})

t.test('a configuration with ten mistakes gives ten messages, each at its place', async t => {
  const text = readFileSync(join(import.meta.dirname, '../golden/config/ten-mistakes.conf'), 'utf8')
  const { problems } = read(text)
  const lines = problems.map(({ place }) => place.line)
  t.ok(lines.length >= 10, 'all of them')
  t.strictSame(lines, [...new Set(lines)], 'no line is complained about twice')
  t.ok(problems.every(({ severity }) => severity === 'fatal'))
})

t.test('files of other systems and editors mean the same', async t => {
  const expected = { port: '12345', '<Plugin a>': { action: 'reject x' } }
  const text = 'port = 12345\n<Plugin a>\n  action = "reject x"\n</Plugin>\n'
  t.strictSame(plain(read(text.replaceAll('\n', '\r\n')).root), expected, 'CRLF')
  t.strictSame(plain(read(`\uFEFF${text}`).root), expected, 'byte order mark')
  t.strictSame(plain(read(text.trimEnd()).root), expected, 'no line break at the end')
  t.equal(findOption(read(`\uFEFF${text}`).root, 'port')?.place.column, 1)
  t.strictSame(plain(read('').root), {}, 'empty file')
  const nbsp = plain(read('a\u00a0b = c\n').root)
  t.strictSame(nbsp, { 'a\u00a0b': 'c' }, 'a no-break space is no blank')
})

t.test('CRLF is the end of a line, also after a backslash and in a here-document', async t => {
  const found = read('a <<EOT\r\n  one\r\n  two\r\n  EOT\r\nb = x \\\r\nc = y\r\n')
  t.strictSame(plain(found.root), { a: 'one\ntwo', b: 'x c = y' })
  says(t, found)
})

t.test('a column is that of the file, whatever was cut out or joined before it', async t => {
  const { root } = read('  a /* y */ = 1\nname = one \\\n  two\n<Plugin /* c */ b>\n</Plugin>\n')
  t.strictSame(
    root.entries.map(({ place }) => [place.line, place.column]),
    [
      [1, 3],
      [2, 1],
      [4, 1],
    ],
  )
  t.equal(findOption(root, 'a')?.valuePlace.column, 15)
})

t.test('what may be repeated is the caller’s word', async t => {
  const text =
    'regex = a\nregex = b\n<VirtualHost 1>\n</VirtualHost>\n<VirtualHost 1>\n</VirtualHost>\n'
  t.strictSame(messages(read(text)), [
    'test.conf:2:1: error: option "regex" occurs more than once: it was first written in line 1',
    'test.conf:5:1: error: block <VirtualHost 1> occurs more than once: it was first written in line 3',
  ])
  const { root, problems } = read(text, {
    repeatableOptions: ['regex'],
    repeatableBlocks: ['VirtualHost'],
  })
  t.strictSame(problems, [])
  t.strictSame(
    findOptions(root, 'regex').map(({ value }) => value),
    ['a', 'b'],
  )
  t.equal(findBlocks(root, 'VirtualHost').length, 2)
  const mixed = read('regex = a\n<regex>\n</regex>\n', { repeatableBlocks: ['regex'] })
  says(t, mixed, /^test\.conf:2:1: error: block <regex>.*first written as an option/)
})

t.test('an empty block ends as such before a blank, too', async t => {
  // The original takes the slash for a part of the name there, which nobody can mean.
  t.strictSame(plain(read('<Plugin a/> \n<Plugin b/>\r\n').root), {
    '<Plugin a>': {},
    '<Plugin b>': {},
  })
})

t.test('comment marks that overlap neither open nor cut a comment', async t => {
  t.strictSame(plain(read('/*/\nb\n').root), { '/*/': undefined, b: undefined })
  t.strictSame(plain(read('/*\na\n/*/\nb\n').root), { '/*/': undefined, b: undefined })
  const cut = read('a = 1 /*/ x\n')
  t.strictSame(plain(cut.root), { x: undefined })
  says(t, cut, /^test\.conf:1:8: warning: "\*\/" without an open comment/)
})

t.test('a backslash alone on its line continues nothing', async t => {
  const { root } = parseConfig(
    'm',
    described({ m: '\\\n<<include x>>\n\\\n\nb = 1\n', x: 'a = 1' }),
  )
  t.strictSame(plain(root), { a: '1', b: '1' })
})

t.test('a broken tag is one mistake, with or without an end', async t => {
  says(t, read('<A\nb = 1\n</A>\n'), /^test\.conf:1:1: error: the tag "<A" has no ">"/)
  says(t, read('<A\nb = 1\n'), /^test\.conf:1:1: error: the tag "<A" has no ">"/)
  says(t, read('<V>\n<A\n</V>\n'), /^test\.conf:2:1: error: the tag "<A" has no ">"/)
  says(t, read('<A>\n</>\n'), /^test\.conf:2:1: error: an end tag names the type/)
  says(t, read('<>\n'), /^test\.conf:1:1: error: "<>" is not a tag/)
  says(
    t,
    read('</A>\n<A>\n'),
    /:1:1: error: <\/A> closes nothing/,
    /:2:1: error: <A> has no end tag/,
  )
  const severities = read('<<include x\n<<include x>\n').problems.map(({ severity }) => severity)
  t.strictSame(severities, ['error', 'fatal'], 'the original starts with the first')
})

t.test('the same name is welcome on another level, and an unnamed block only once', async t => {
  t.strictSame(read('<P a>\n<P a>\n</P>\n</P>\n<P b>\n<P a>\n</P>\n</P>\n').problems, [])
  says(t, read('<S>\n</S>\n<S>\n</S>\n'), /^test\.conf:3:1: error: block <S> occurs more/)
})

t.test('what swallows the end tags is the one mistake shown', async t => {
  says(t, read('<P a>\n/* x\n</P>\n'), /^test\.conf:2:1: error: this comment has no end/)
  says(t, read('<P a>\nb <<X\n</P>\n'), /^test\.conf:2:3: error: the here-document "b"/)
  const tail = read('b = 1 \\\n')
  says(t, tail, /^test\.conf:1:7: error: the file ends after a backslash/)
  t.equal(tail.problems[0]?.severity, 'error', 'the original starts with that')
  says(t, read('a <<include b.conf>>\n'), /an include must be alone on its line$/)
})

t.test('an included file is looked for here, then beside the main file', async t => {
  const main = '<<include a.conf>>\n<<include b.conf>>\n'
  const files = { '/etc/x/main.conf': main, 'a.conf': 'a = here', '/etc/x/a.conf': 'a = there' }
  const found = parseConfig('/etc/x/main.conf', described({ ...files, '/etc/x/b.conf': 'b = 1' }))
  t.strictSame(plain(found.root), { a: 'here', b: '1' })
  t.strictSame(found.files, ['/etc/x/main.conf', 'a.conf', '/etc/x/b.conf'])
  const lost = parseConfig('/etc/x/main.conf', described(files))
  says(
    t,
    lost,
    '/etc/x/main.conf:2:1: error: cannot include "b.conf": no such file, neither here nor as "/etc/x/b.conf"; did you mean "a.conf"?',
  )
  const relative = parseConfig('x/main.conf', described({ 'x/main.conf': main, 'x/a.conf': 'a' }))
  t.equal(relative.problems.length, 2, 'not beside a main file that was given as a relative path')
})

t.test('a wildcard means all files that match, unless a file is called so', async t => {
  const files = {
    '/e/m': '<<include c/*.conf>>\n',
    '/e/c/b.conf': 'b = 1',
    '/e/c/a.conf': 'a = 1',
    '/e/c/.hidden.conf': 'h = 1',
    '/e/c/a.conf~': 'old = 1',
  }
  t.strictSame(parseConfig('/e/m', described(files)).files, ['/e/m', '/e/c/a.conf', '/e/c/b.conf'])
  const literal = parseConfig('/e/m', described({ ...files, '/e/c/*.conf': 'only = me' }))
  t.strictSame(plain(literal.root), { only: 'me' })
  t.strictSame(parseConfig('m', described({ m: '<<include none/*.conf>>' })).problems, [])
  t.ok(matchesName('10-a.conf', '1?-*.c*f'))
  t.notOk(matchesName('10-a.conf', '*.con'))
  t.notOk(matchesName('a'.repeat(250), '*a*a*a*a*a*a*a*a*b'), 'soon')
})

t.test('a dangling link among the matching files is reported, and the others are read', async t => {
  const folder = t.testdir({ m: '<<include c/*.conf>>\n', c: { 'b.conf': 'b = 1' } })
  symlinkSync('nowhere', join(folder, 'c/a.conf'))
  const found = parseConfig(join(folder, 'm'), configFiles)
  says(t, found, /m:1:1: warning: ".*c\/a\.conf" is a dangling symbolic link/)
  t.equal(findOption(found.root, 'b')?.value, '1')
})

t.test('includes are bounded and say so', async t => {
  const chain = Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [`${i}`, `<<include ${i + 1}>>\na${i} = 1\n`]),
  )
  const deep = parseConfig('0', described(chain))
  says(t, deep, '16:1:1: error: "17" is included 17 files deep; at most 16 are allowed')
  t.ok(findOption(deep.root, 'a16'), 'what was read is kept')

  const many: Record<string, string> = { m: '<<include d/*>>' }
  for (let i = 0; i < 1100; i++) many[`d/${i}`] = `a${i} = 1`
  says(t, parseConfig('m', described(many)), /^m:1:1: error: more than 1000 files/)

  const large = described({ m: 'a = 1\n<<include l>>\n', l: '#'.repeat(1024 * 1024 + 1) })
  says(t, parseConfig('m', large), 'm:2:1: error: "l" is larger than 1 MiB, the most a file may be')
  const heavy: Record<string, string> = { m: '<<include d/*>>' }
  for (let i = 10; i < 30; i++) heavy[`d/${i}`] = '#'.repeat(1024 * 1024)
  says(t, parseConfig('m', described(heavy)), /^m:1:1: error: more than 16 MiB of configuration/)
  says(t, parseConfig('m', described({})), 'm:1:1: error: no such file')
  const nested = read('<a>\n'.repeat(300) + '</a>\n'.repeat(300))
  says(t, nested, 'test.conf:201:1: error: blocks are nested more than 200 deep here')
})

t.test('only regular files are opened', async t => {
  const folder = t.testdir({ 'main.conf': '<<include /dev/zero>>\nport = 1\n', d: {} })
  const found = parseConfig(join(folder, 'main.conf'), configFiles)
  says(t, found, /main\.conf:1:1: error: cannot read "\/dev\/zero": it is not a regular/)
  t.equal(findOption(found.root, 'port')?.value, '1')
  says(t, parseConfig(join(folder, 'd'), configFiles), /it is a directory, expected a file$/)
})

t.test('no input makes the reader throw, hang or grow', async t => {
  const pieces = fc.constantFrom(
    ...['a', 'b c', '=', ' ', '\t', '"', '#', '\\', '\n', '\n', '\r\n', '/*', '*/', '$', '<', '>'],
    ...[
      '<A>',
      '</A>',
      '<B n>',
      '</B>',
      '<C/>',
      '<D x />',
      '<<E',
      '\nE\n',
      '</',
      '/>',
      '\0',
      '\uD800',
    ],
    ...['<<include test.conf>>', '<<include *>>', '<<include x', '\n<<include y>>\n'],
  )
  const text = fc.oneof(
    fc.array(pieces, { maxLength: 60 }).map(parts => parts.join('')),
    fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes).toString('latin1')),
  )
  fc.assert(
    fc.property(text, input => {
      const { problems, root } = parseConfig(
        'test.conf',
        described({ 'test.conf': input, y: input }),
      )
      const lines = 2 * input.split('\n').length + 2
      if (root.entries.length > lines || problems.length > 3 * lines) throw new Error('it grew')
      for (const { place, message } of problems) {
        if (place.line < 1 || place.column < 1 || message.length > 400) throw new Error(message)
      }
    }),
    { numRuns: runs(2000) },
  )
  // Whatever is quadratic in a line or in the number of lines does not come back from these.
  const size = 200_000
  const repeated = [
    '<<include ',
    ' ',
    'a = << ',
    '"',
    '\\\n',
    '<a',
    '</a\n',
    '/*',
    '*/',
    '=',
    '\\',
    'a\\\n',
  ]
  for (const piece of [...repeated, '<a b>\n', '</a>\n', 'a\n', '#\n', '<<a>\n', '" # "\n']) {
    read(piece.repeat(Math.floor(size / piece.length)))
    read(`${piece}x <<include <a ${' '.repeat(size / 2)}x`)
  }
  read(`<${'n'.repeat(size / 2)}>\n${'</m>\n'.repeat(size / 12)}`)
  t.equal(read('a\n'.repeat(5000)).problems.length, 1001, 'and no more messages than one can read')
})

t.test('files that are matched are those beside the configuration, wherever one is', t => {
  const files = described({
    '/etc/main.conf': '<<include conf.d/*.conf>>\n',
    '/etc/conf.d/a.conf': 'a = 1\n',
    'conf.d/10-auth.conf': 'auth_mechanisms = plain\n',
  })
  const parsed = parseConfig('/etc/main.conf', files)
  says(t, parsed)
  t.same(plain(parsed.root), { a: '1' })
  t.end()
})

t.test(
  'a working directory that may not be read hides no file beside the configuration',
  async t => {
    const files = described({
      '/etc/main.conf': '<<include conf.d/*.conf>>\n<<include more>>\n',
      '/etc/conf.d/a.conf': 'a = 1\n',
      '/etc/more': 'b = 2\n',
    })
    const denied = (): never => {
      throw Object.assign(new Error('permission denied'), { code: 'EACCES' })
    }
    const parsed = parseConfig('/etc/main.conf', {
      read: path => (path.startsWith('/') ? files.read(path) : denied()),
      list: directory => (directory.startsWith('/') ? files.list(directory) : denied()),
    })
    says(t, parsed)
    t.same(plain(parsed.root), { a: '1', b: '2' })

    const closed = parseConfig('/etc/main.conf', {
      read: path => (path === '/etc/main.conf' ? files.read(path) : denied()),
      list: denied,
    })
    says(
      t,
      closed,
      /cannot read "\/etc\/conf\.d\/\*\.conf": permission/,
      /cannot read "\/etc\/more"/,
    )
  },
)
