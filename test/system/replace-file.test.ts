import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createFile, replaceFile, writeAnew } from '../../daemon/system/replace-file.ts'

const OPTIONS = { mode: 0o640, sync: 'file and folder', mountPoint: 'fail' } as const

t.test('a file has the new text and the mode it was given, whatever the umask is', async t => {
  const folder = t.testdir({ file: 'old' })
  const file = join(folder, 'file')
  chmodSync(file, 0o600)
  const before = process.umask(0o077)
  try {
    replaceFile(file, 'new', { ...OPTIONS, mode: 0o644, temporary: `${file}.new` })
  } finally {
    process.umask(before)
  }
  t.equal(readFileSync(file, 'utf8'), 'new')
  t.equal(lstatSync(file).mode & 0o7777, 0o644)
  t.strictSame(readdirSync(folder), ['file'])
})

t.test('links at either name are replaced, and what they lead to is not touched', async t => {
  const folder = t.testdir({ precious: 'precious' })
  const [file, precious] = [join(folder, 'file'), join(folder, 'precious')]
  symlinkSync(precious, file)
  symlinkSync(precious, `${file}.new`)
  replaceFile(file, 'new', { ...OPTIONS, temporary: `${file}.new` })
  t.equal(readFileSync(precious, 'utf8'), 'precious')
  t.ok(lstatSync(file).isFile())
  symlinkSync(precious, join(folder, 'other'))
  writeAnew(join(folder, 'other'), 'new', OPTIONS)
  t.equal(readFileSync(precious, 'utf8'), 'precious')
})

t.test('when it fails, the old file is as it was and nothing is left beside it', async t => {
  const folder = t.testdir({ file: 'old' })
  const file = join(folder, 'file')
  mkdirSync(join(folder, 'target'))
  const temporary = `${file}.new`
  t.throws(() => replaceFile(join(folder, 'target'), 'x', { ...OPTIONS, temporary }))
  t.throws(() => replaceFile(join(folder, 'no/file'), 'x', { ...OPTIONS, temporary }))
  const isRoot = process.geteuid?.() === 0
  if (!isRoot) {
    const owner = { uid: 0, gid: 0 }
    t.throws(() => replaceFile(file, 'x', { ...OPTIONS, owner, temporary }), { code: 'EPERM' })
  }
  t.notOk(existsSync(temporary))
  t.equal(readFileSync(file, 'utf8'), 'old')
})

t.test('a file that must not be there yet is not replaced', async t => {
  const file = join(t.testdir(), 'file')
  createFile(file, 'first', OPTIONS)
  t.throws(() => createFile(file, 'second', OPTIONS), { code: 'EEXIST' })
  t.equal(readFileSync(file, 'utf8'), 'first')
})

t.test(
  'the owner is set before others can read it',
  { skip: process.geteuid?.() !== 0 },
  async t => {
    const file = join(t.testdir(), 'file')
    writeFileSync(file, 'old')
    const owner = { uid: 65_534, gid: 65_534 }
    replaceFile(file, 'new', { ...OPTIONS, owner, mode: 0o4755, temporary: `${file}.new` })
    t.match(lstatSync(file), owner)
    t.equal(lstatSync(file).mode & 0o7777, 0o4755, 'no bit is lost with the change of the owner')
  },
)
