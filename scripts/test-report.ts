/**
 * Runs tap and prints what a person wants to know: each file as it ends, every failure with its
 * diagnosis, what was skipped and why, and a final count. With CI set, a skipped test is a failure.
 *
 * The tests start real mail servers and databases, two files at a time. One or two files that fail are run
 * once more, alone; if they pass then, that is reported, and the run as a whole does not fail because
 * something else kept the machine busy.
 */

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** More failures than this are not a busy machine. */
const MOST_REPEATED = 2

interface Outcome {
  readonly status: number
  readonly counts: { total: number; pass: number; fail: number; skip: number }
  /** Files with a failure. */
  readonly failed: readonly string[]
}

process.stdout.on('error', () => process.exit(1))

const first = await run(process.argv.slice(2))
let { status } = first
if (status !== 0 && first.failed.length > 0 && first.failed.length <= MOST_REPEATED) {
  process.stdout.write(`\nOnce more, alone: ${first.failed.join(' ')}\n`)
  const again = await run(['--jobs=1', ...first.failed])
  if (again.counts.total > 0) ({ status } = again)
  if (status === 0) {
    process.stdout.write(`PASSED ONLY WHEN REPEATED, alone: ${first.failed.join(' ')}\n`)
  }
}
const { total, pass, fail, skip } = first.counts
const skippedOnCi = process.env.CI !== undefined && skip > 0
if (skippedOnCi) process.stdout.write('With CI set nothing may be skipped.\n')
process.stdout.write(`${pass} passed, ${fail} failed, ${skip} skipped\n`)
process.exitCode = status !== 0 || skippedOnCi || total === 0 ? 1 : 0

async function run(args: readonly string[]): Promise<Outcome> {
  const tap = join(import.meta.dirname, '../node_modules/tap/dist/esm/run.mjs')
  const child = spawn(process.execPath, [tap, '--reporter=tap', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<number>(resolve => {
    child.once('close', code => resolve(code ?? 1))
  })
  const counts = { total: 0, pass: 0, fail: 0, skip: 0 }
  const failed: string[] = []
  let file = ''
  /** Indentation of the failure whose diagnosis may follow, or is being shown. */
  let failedAt: string | undefined
  let diagnosis: string | undefined

  for await (const line of createInterface({ input: child.stdout })) {
    const subtest = /^# Subtest: (\S+\.test\.ts)/.exec(line)
    if (subtest?.[1]) file = subtest[1]

    if (failedAt !== undefined && line === `${failedAt}  ---`) diagnosis = failedAt
    failedAt = undefined
    if (diagnosis !== undefined) {
      process.stdout.write(`${line}\n`)
      if (line === `${diagnosis}  ...`) diagnosis = undefined
      continue
    }
    const failure = /^(\s*)not ok /.exec(line)
    if (failure && !/# (?:TODO|SKIP)/i.test(line)) {
      process.stdout.write(`${file}\n${line}\n`)
      failedAt = failure[1]
      const whole = /^not ok \d+ - (\S+\.test\.ts)/.exec(line)?.[1]
      if (whole) failed.push(whole)
    } else if (/^\s*(?:not )?ok .*# SKIP/i.test(line)) {
      process.stdout.write(`SKIPPED ${file}: ${line.trim()}\n`)
    } else if (/^ok \d+ - /.test(line)) {
      process.stdout.write(`${line.replace(/^ok \d+ - /, 'ok  ').replace(/ \{$/, '')}\n`)
    }
    const summary = /^# \{ (total: .*) \}$/.exec(line)
    for (const [, name = '', number] of summary?.[1]?.matchAll(/(\w+): (\d+)/g) ?? []) {
      if (name in counts) counts[name as keyof typeof counts] = Number(number)
    }
  }
  return { status: await ended, counts, failed }
}
