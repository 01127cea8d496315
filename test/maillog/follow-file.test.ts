/** A log file is followed through everything that a log daemon, logrotate and an administrator do to it. */

import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { followFile } from '../../daemon/maillog/follow-file.ts'
import type { Following } from '../../daemon/maillog/following.ts'
import { systemClock } from '../../daemon/system/clock.ts'

interface Followed {
  readonly folder: string
  readonly path: string
  readonly lines: readonly string[]
  readonly following: Following
  /** Waits for the last of these lines, and compares all that have come since. */
  seen(...expected: string[]): Promise<void>
  problem(pattern: RegExp | undefined): Promise<void>
}

/** Follows `mail.log` in a new folder; `prepare` is called before. */
function follow(t: Test, prepare: (path: string) => void, name = 'mail.log'): Followed {
  const folder = fs.mkdtempSync(join(tmpdir(), 'maillog-'))
  const path = join(folder, name)
  prepare(path)
  const lines: string[] = []
  let checked = 0
  const following = followFile({
    path,
    clock: systemClock,
    take: more => void lines.push(...more),
  })
  t.teardown(async () => {
    await following.stop()
    fs.rmSync(folder, { recursive: true })
  })
  const until = async (isTrue: () => boolean): Promise<void> => {
    for (let tries = 0; tries < 500 && !isTrue(); tries++) await sleep(20)
  }
  return {
    folder,
    path,
    lines,
    following,
    async seen(...expected) {
      await until(() => lines.length >= checked + expected.length)
      // What should not come would come now.
      await sleep(100)
      t.strictSame(lines.slice(checked), expected)
      checked = lines.length
    },
    async problem(pattern) {
      await until(() => (pattern ? pattern.test(following.problem ?? '') : !following.problem))
      if (pattern) t.match(following.problem, pattern)
      else t.equal(following.problem, undefined)
    },
  }
}

t.test('what is there already is read, then what is added, line by line', async t => {
  const { path, seen, problem } = follow(t, path => fs.writeFileSync(path, 'one\ntwo\nthr'))
  await seen('one', 'two')
  await problem(undefined)
  fs.appendFileSync(path, 'ee\nfo')
  await seen('three')
  fs.appendFileSync(path, 'u')
  await seen()
  fs.appendFileSync(path, 'r ü\n\n')
  await seen('four ü', '')
})

t.test('a character whose bytes come one by one is one character', async t => {
  const { path, seen } = follow(t, path => fs.writeFileSync(path, ''))
  for (const byte of Buffer.from('ü€\n')) {
    fs.appendFileSync(path, Buffer.from([byte]))
    await sleep(60)
  }
  await seen('ü€')
})

t.test('a file that is renamed is read to its end, and the new one from its beginning', async t => {
  const { path, seen } = follow(t, path => fs.writeFileSync(path, 'one\n'))
  await seen('one')
  const writer = fs.openSync(path, 'a')
  fs.renameSync(path, `${path}.1`)
  fs.writeSync(writer, 'two\n')
  fs.writeFileSync(path, 'three\n')
  await sleep(700)
  // The log daemon has not been told yet.
  fs.writeSync(writer, 'four\n')
  fs.closeSync(writer)
  await seen('two', 'three', 'four')
  fs.writeFileSync(`${path}.1.gz`, gzipSync(fs.readFileSync(`${path}.1`)))
  fs.rmSync(`${path}.1`)
  fs.appendFileSync(path, 'five\n')
  await seen('five')
})

t.test('a file that is copied and emptied is read on', async t => {
  const { path, seen } = follow(t, path => fs.writeFileSync(path, 'one\ntwo\nunfinished'))
  await seen('one', 'two')
  fs.copyFileSync(path, `${path}.1`)
  fs.truncateSync(path)
  fs.appendFileSync(path, 'three\n')
  await seen('three')
  fs.truncateSync(path)
  fs.appendFileSync(path, 'much more than there was before\nfour\n')
  await seen('much more than there was before', 'four')
})

t.test('a writer that goes on at its old place after the file was emptied is followed', async t => {
  const { path, seen } = follow(t, path => fs.writeFileSync(path, 'one\n'))
  const writer = fs.openSync(path, 'r+')
  fs.writeSync(writer, 'two\n', 4)
  await seen('one', 'two')
  fs.truncateSync(path)
  fs.writeSync(writer, 'three\n', 8)
  fs.closeSync(writer)
  await seen('\0\0\0\0\0\0\0\0three')
})

t.test('a file that appears later is read as soon as it is there', async t => {
  const { path, seen, problem } = follow(t, () => undefined)
  await problem(/^no such file$/)
  fs.writeFileSync(path, 'one\n')
  await seen('one')
  await problem(undefined)
})

t.test('a folder that appears later is no obstacle', async t => {
  const { folder, path, seen, problem } = follow(t, () => undefined, 'log/mail.log')
  await problem(/^no such file$/)
  fs.mkdirSync(join(folder, 'log'))
  fs.writeFileSync(path, 'one\n')
  await seen('one')
})

t.test('a file that is deleted is read on until another one has its name', async t => {
  const { path, seen, problem } = follow(t, path => fs.writeFileSync(path, 'one\n'))
  const writer = fs.openSync(path, 'a')
  await seen('one')
  fs.rmSync(path)
  fs.writeSync(writer, 'two\n')
  fs.closeSync(writer)
  await seen('two')
  await problem(undefined)
  fs.writeFileSync(path, 'three\n')
  await seen('three')
})

t.test('a link is followed, also when it leads elsewhere', async t => {
  const { folder, path, seen } = follow(t, path => {
    fs.writeFileSync(`${path}.a`, 'one\n')
    fs.writeFileSync(`${path}.b`, 'two\n')
    fs.symlinkSync(`${path}.a`, path)
  })
  await seen('one')
  fs.rmSync(path)
  fs.symlinkSync(`${path}.b`, path)
  await seen('two')
  fs.appendFileSync(join(folder, 'mail.log.b'), 'three\n')
  await seen('three')
})

t.test('what is no file is named, and waited for', async t => {
  const { path, seen, problem } = follow(t, path => fs.mkdirSync(path))
  await problem(/not a regular file|illegal operation on a directory/)
  fs.rmdirSync(path)
  fs.writeFileSync(path, 'one\n')
  await seen('one')
})

t.test('a log that may not be read is named', async t => {
  // Root may read everything; nobody may not.
  const isRoot = process.geteuid?.() === 0
  const { path, seen, problem } = follow(t, path => {
    fs.writeFileSync(path, 'one\n', { mode: 0 })
    if (isRoot) process.seteuid?.(65_534)
  })
  try {
    await problem(/^permission denied$/)
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
  fs.chmodSync(path, 0o600)
  await seen('one')
})

t.test('a line without an end is held for a while and left out, the next one is read', async t => {
  const { path, lines, seen } = follow(t, path => fs.writeFileSync(path, 'x'.repeat(300_000)))
  await sleep(100)
  for (let i = 0; i < 10; i++) fs.appendFileSync(path, Buffer.alloc(100_000, 0xff))
  fs.appendFileSync(path, '\none\n')
  await seen('one')
  t.equal(lines.length, 1)
})

t.test('of a long log, the last 16 MiB are read, and no line twice', async t => {
  const line = `${'x'.repeat(99)}\n`
  const { path, lines } = follow(t, path => {
    fs.writeFileSync(path, line.repeat(200_000))
    fs.appendFileSync(path, 'last\n')
  })
  for (let tries = 0; tries < 500 && lines.at(-1) !== 'last'; tries++) await sleep(20)
  t.equal(lines.at(-1), 'last')
  t.equal(lines.length, Math.floor((16 * 1024 * 1024 - 5) / line.length) + 1)
  fs.appendFileSync(path, 'more\n')
  for (let tries = 0; tries < 500 && lines.at(-1) !== 'more'; tries++) await sleep(20)
  t.equal(lines.filter(one => one === 'last').length, 1)
})

t.test('lines come one step after the other, however long each takes', async t => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'maillog-'))
  const path = join(folder, 'mail.log')
  fs.writeFileSync(path, `${'y'.repeat(999)}\n`.repeat(500))
  let atWork = 0
  let most = 0
  let count = 0
  const following = followFile({
    path,
    clock: systemClock,
    async take(lines) {
      atWork++
      most = Math.max(most, atWork)
      await sleep(5)
      count += lines.length
      atWork--
    },
  })
  for (let tries = 0; tries < 500 && count < 500; tries++) await sleep(20)
  t.equal(count, 500)
  t.equal(most, 1)
  await following.stop()
  fs.appendFileSync(path, 'after the end\n')
  await sleep(700)
  t.equal(count, 500, 'nothing comes after the stop')
  fs.rmSync(folder, { recursive: true })
})
