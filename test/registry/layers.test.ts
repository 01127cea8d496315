import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import fc from 'fast-check'
import t from 'tap'
import { formatLayer, parseLayer, readLayer, saveLayer } from '../../daemon/registry/layers.ts'
import { tryLock, withLock } from '../../daemon/registry/lock.ts'
import { openRegistry } from '../../daemon/registry/registry.ts'
import { runRegistryCommand } from '../support/command.ts'

const now = () => new Date('2026-11-20T12:00:00Z')
const program = new URL('registry-command.ts', import.meta.url).pathname

function start(root: string, args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { REGISTRY_ROOT: root },
  })
}

t.test(
  'values are read as they were written, except for line breaks and surrounding spaces',
  async t => {
    const key = fc.string({ minLength: 1 }).filter(text => !/[\r\n#:]/.test(text))
    const value = fc.string({ unit: 'grapheme' })
    fc.assert(
      fc.property(fc.dictionary(key, value), entries => {
        const values = new Map(Object.entries(entries))
        const expected = new Map(
          [...values].map(([name, text]) => [name, text.replace(/[\r\n]/g, '').trim()]),
        )
        t.strictSame(
          new Map([...parseLayer(formatLayer(values))].sort()),
          new Map([...expected].sort()),
        )
      }),
    )
  },
)

t.test('a save leaves the file, a backup with the same content, and nothing else', async t => {
  const directory = t.testdir()
  const file = join(directory, 'base.conf')
  saveLayer(file, new Map([['a', '1']]), now)
  chmodSync(file, 0o640)
  saveLayer(file, new Map([['a', '2']]), now)
  t.strictSame(readdirSync(directory).sort(), ['base.conf', 'base.conf.bak'])
  t.equal(readFileSync(file, 'utf8'), '# univention_ base.conf\n\na: 2')
  t.equal(readFileSync(`${file}.bak`, 'utf8'), readFileSync(file, 'utf8'))
  t.equal(statSync(file).mode & 0o777, 0o640, 'the mode is kept')
  t.equal(statSync(`${file}.bak`).mode & 0o777, 0o640, 'a secret file has a secret backup')
})

t.test('a file truncated anywhere before its values is read from the backup', async t => {
  const file = join(t.testdir(), 'base.conf')
  saveLayer(file, new Map([['a', '1']]), now)
  for (const rest of ['', '# univ', '# univention_ base.conf', '# univention_ base.conf\n']) {
    writeFileSync(file, rest)
    t.strictSame(readLayer(file), { values: new Map([['a', '1']]), recovered: true }, rest)
  }
  writeFileSync(`${file}.bak`, '')
  t.strictSame(readLayer(file), { values: new Map(), recovered: false }, 'both gone')
})

t.test('a directory or a pipe instead of the file is reported, without blocking', async t => {
  const folder = t.testdir({ directory: {} })
  t.throws(() => readLayer(join(folder, 'directory')), /directory is a directory; a file is expec/)
  spawnSync('mkfifo', [join(folder, 'fifo')])
  t.throws(() => readLayer(join(folder, 'fifo')), /fifo is a pipe; a file is expected there$/)
  t.strictSame(readLayer('/dev/null').values, new Map())
})

t.test('an ordinary user gets the values of a truncated file without repairing it', async t => {
  const root = t.testdir()
  const directory = join(root, 'etc/univention-mtpolicyd/registry')
  mkdirSync(directory, { recursive: true })
  const file = join(directory, 'base.conf')
  saveLayer(file, new Map([['a', '1']]), now)
  writeFileSync(file, '')
  const registry = openRegistry({ root, env: {} })
  const release = tryLock(registry.lockFile)
  t.equal(registry.snapshot().merged.get('a'), '1', 'while somebody is writing it is only read')
  t.equal(readFileSync(file, 'utf8'), '')
  release?.()
  t.equal(registry.snapshot().merged.get('a'), '1')
  t.equal(readFileSync(file, 'utf8'), '# univention_ base.conf\n\na: 1', 'repaired')
})

t.test('a file that cannot be renamed over, as a bind mount, is written in place', async t => {
  const directory = t.testdir({ 'base.conf': '', 'mounted.conf': '' })
  const script = `
    import { saveLayer } from '${new URL('../../daemon/registry/layers.ts', import.meta.url)}'
    saveLayer('${directory}/base.conf', new Map([['a', '1']]), () => new Date())
  `
  const { status, stderr } = spawnSync(
    'unshare',
    [
      '--mount',
      'sh',
      '-c',
      'mount --bind "$1/mounted.conf" "$1/base.conf" && "$2" --input-type=module -e "$3"',
      'sh',
      directory,
      process.execPath,
      script,
    ],
    { encoding: 'utf8' },
  )
  if (/unshare|mount/.test(stderr))
    return t.comment(`skipped, mounts are not possible here: ${stderr}`)
  t.equal(status, 0, stderr)
  t.equal(readFileSync(join(directory, 'mounted.conf'), 'utf8'), '# univention_ base.conf\n\na: 1')
})

t.test('twenty processes that set values at the same time lose nothing', async t => {
  const root = t.testdir()
  const writers = Array.from({ length: 20 }, (_, i) => start(root, ['set', `key${i}=${i}`]))
  for (const [status] of await Promise.all(writers.map(writer => once(writer, 'exit')))) {
    t.equal(status, 0)
  }
  const { merged } = openRegistry({ root, env: {}, declarations: [] }).snapshot()
  t.equal(merged.size, 20)
  for (let i = 0; i < 20; i++) t.equal(merged.get(`key${i}`), String(i))
  const names = readdirSync(join(root, 'etc/univention-mtpolicyd/registry'))
  t.strictSame(
    names.filter(name => /temp|concurrent/.test(name)),
    [],
  )
})

t.test('kill -9 in the middle of saves loses nothing and leaves no lock', async t => {
  const root = t.testdir()
  const script = `
    import { runRegistryCommand } from '${new URL('../support/command.ts', import.meta.url)}'
    const io = {
      root: '${root}', env: {}, declarations: [], templates: '/nonexistent',
      stdout() {}, stderr() {}, check: () => [], reload() {},
    }
    for (let i = Number(process.argv[1]); ; i++) {
      await runRegistryCommand(['set', 'counter=' + i, 'other' + (i % 50) + '=x'], io)
      process.stdout.write(i + '\\n')
    }
  `
  let acknowledged = 0
  for (let round = 1; round <= 6; round++) {
    const first = acknowledged + 1
    const args = ['--input-type=module', '-e', script, String(first)]
    const writer = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    for await (const line of createInterface({ input: writer.stdout })) {
      acknowledged = Number(line)
      // At a different point of a save each time.
      if (acknowledged >= first + 7 + round) {
        setTimeout(() => writer.kill('SIGKILL'), Math.random() * 5)
      }
    }
    const { merged } = openRegistry({ root, env: {}, declarations: [] }).snapshot()
    const stored = Number(merged.get('counter'))
    t.ok(stored === acknowledged || stored === acknowledged + 1, `${stored} of ${acknowledged}`)
    t.equal(merged.size, 1 + Math.min(50, stored), 'all other values are there')
    acknowledged = stored
  }
  const after = start(root, ['set', 'after=all'])
  t.strictSame(await once(after, 'exit'), [0, null], 'the next writer is not kept waiting')
})

t.test('a process that waits too long for another writer gets an error', async t => {
  const file = join(t.testdir(), 'registry.lock')
  const release = tryLock(file)
  t.ok(release)
  t.equal(tryLock(file), undefined)
  await t.rejects(
    withLock(file, async () => {}, 0.05),
    { message: /fuser -v .*registry\.lock shows which/ },
  )
  release?.()
  t.equal(await withLock(file, async () => 'done'), 'done')
  t.equal(statSync(file).mode & 0o777, 0o600, 'no other user can hold the lock')
})

t.test("a system error is reported in UCR's two lines and one that names the file", async t => {
  const root = t.testdir({ etc: { 'univention-mtpolicyd': 'a file instead of a directory' } })
  let stderr = ''
  const status = await runRegistryCommand(['set', 'a=1'], {
    root,
    env: {},
    templates: '/nonexistent',
    stdout: () => {},
    stderr: text => {
      stderr += text
    },
    check: () => [],
    reload: () => {},
  })
  t.equal(status, 1)
  t.match(
    stderr,
    /^E: your request could not be fulfilled\ntry `mtpolicyctl --help` .*\n {2}E\w+: /,
  )
  t.notOk(existsSync(join(root, 'etc/univention-mtpolicyd/registry')))
})
