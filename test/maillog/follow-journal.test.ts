/** The journal is followed through journalctl; here a program takes its place that does what a test says. */

import fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { followJournal } from '../../daemon/maillog/follow-journal.ts'
import type { Following } from '../../daemon/maillog/following.ts'
import { systemClock } from '../../daemon/system/clock.ts'
import { virtualClock } from '../support/virtual-clock.ts'

interface Fake {
  readonly folder: string
  readonly lines: readonly string[]
  readonly following: Following
  /** The arguments of each start, and its process id. */
  starts(): { readonly pid: number; readonly argv: string }[]
  until(isTrue: () => boolean): Promise<void>
}

/** @param script what the program does, in sh; `$folder` is at hand. */
function follow(t: Test, script: string, clock = systemClock): Fake {
  const folder = fs.mkdtempSync(join(tmpdir(), 'journal-'))
  const program = join(folder, 'journalctl')
  const starts = join(folder, 'starts')
  fs.writeFileSync(program, `#!/bin/sh\nfolder=${folder}\necho "$$ $*" >> ${starts}\n${script}\n`, {
    mode: 0o755,
  })
  const lines: string[] = []
  const following = followJournal({
    programs: ['smtpd', 'cleanup'],
    clock,
    journalctl: program,
    take: more => void lines.push(...more),
  })
  t.teardown(async () => {
    await following.stop()
    fs.rmSync(folder, { recursive: true })
  })
  return {
    folder,
    lines,
    following,
    starts() {
      const text = fs.existsSync(starts) ? fs.readFileSync(starts, 'utf8') : ''
      return [...text.matchAll(/^(\d+) (.*)$/gm)].map(([, pid, argv = '']) => ({
        pid: Number(pid),
        argv,
      }))
    },
    async until(isTrue) {
      for (let tries = 0; tries < 500 && !isTrue(); tries++) await sleep(20)
    },
  }
}

function isRunning(pid: number | undefined): boolean {
  try {
    // A process that has ended and that nobody has waited for is still there.
    return pid !== undefined && process.kill(pid, 0)
  } catch {
    return false
  }
}

t.test('entries of the last ten minutes and all later ones are read', async t => {
  const clock = virtualClock()
  const fake = follow(t, 'echo one; echo two; printf thr; sleep 0.1; echo ee; exec sleep 60', clock)
  await fake.until(() => fake.lines.length >= 3)
  t.strictSame(fake.lines, ['one', 'two', 'three'])
  t.equal(fake.following.problem, undefined)
  t.equal(fake.following.source, 'journal')
  const { argv = '' } = fake.starts()[0] ?? {}
  t.match(argv, '--follow --no-tail')
  t.match(argv, `--since=@${clock.now() / 1000 - 600} `)
  t.match(argv, / _COMM=smtpd _COMM=cleanup$/)
})

t.test('a stop ends the program and leaves none behind', async t => {
  const fake = follow(t, 'echo one; exec sleep 60')
  await fake.until(() => fake.lines.length === 1)
  const [{ pid } = { pid: undefined }] = fake.starts()
  t.ok(isRunning(pid))
  await fake.following.stop()
  t.notOk(isRunning(pid))
})

t.test('a program that does not want to end is killed', async t => {
  const fake = follow(t, "trap '' TERM; echo one; while :; do sleep 0.1; done")
  await fake.until(() => fake.lines.length === 1)
  const [{ pid } = { pid: undefined }] = fake.starts()
  await fake.following.stop()
  t.notOk(isRunning(pid))
})

t.test('when it ends it is started again, each time after a longer pause', async t => {
  const clock = virtualClock()
  const fake = follow(t, 'echo "no journal files were found" >&2; exit 1', clock)
  for (const [starts, pause] of [1000, 2000, 4000, 8000].entries()) {
    await fake.until(() => fake.following.problem !== undefined && clock.pending === 1)
    t.equal(fake.following.problem, 'journalctl: no journal files were found')
    t.equal(fake.starts().length, starts + 1)
    await clock.advance(pause - 1)
    t.equal(clock.pending, 1, `not before ${pause} ms`)
    await clock.advance(1)
  }
})

t.test('after it has been read, it goes on from there', async t => {
  const clock = virtualClock()
  const fake = follow(t, 'echo one', clock)
  await fake.until(() => fake.lines.length === 1 && fake.following.problem !== undefined)
  t.match(fake.following.problem, 'journalctl: ended with status 0')
  await clock.advance(1000)
  await fake.until(() => fake.starts().length === 2)
  t.match(fake.starts()[1]?.argv, `--since=@${(clock.now() - 1000 - 5000) / 1000} `)
})

t.test('a journalctl that does not follow merged journals is started without them', async t => {
  const clock = virtualClock()
  const complaint = 'Using --boot or --list-boots with --merge is not supported.'
  const script = `case "$*" in *--merge*) echo "${complaint}" >&2; exit 1;; esac\necho one; exec sleep 60`
  const fake = follow(t, script, clock)
  await fake.until(() => fake.following.problem !== undefined)
  await clock.advance(1000)
  await fake.until(() => fake.lines.length === 1)
  t.strictSame(fake.lines, ['one'])
})

t.test('a host without journalctl is told as it is', async t => {
  const following = followJournal({
    programs: ['smtpd'],
    clock: systemClock,
    journalctl: '/nowhere/journalctl',
    take: () => undefined,
  })
  for (let tries = 0; tries < 500 && following.problem === undefined; tries++) await sleep(20)
  t.match(following.problem, /^journalctl: .*ENOENT/)
  await following.stop()
})

t.test('a reader that is slow holds the program, not the memory', async t => {
  const folder = fs.mkdtempSync(join(tmpdir(), 'journal-'))
  const program = join(folder, 'journalctl')
  fs.writeFileSync(program, '#!/bin/sh\nyes 0123456789 | head -n 200000; exec sleep 60\n', {
    mode: 0o755,
  })
  let count = 0
  let atWork = 0
  let most = 0
  const following = followJournal({
    programs: ['smtpd'],
    clock: systemClock,
    journalctl: program,
    async take(lines) {
      most = Math.max(most, ++atWork)
      await sleep(2)
      count += lines.length
      atWork--
    },
  })
  for (let tries = 0; tries < 1000 && count < 200_000; tries++) await sleep(20)
  t.equal(count, 200_000)
  t.equal(most, 1)
  await following.stop()
  fs.rmSync(folder, { recursive: true })
})
