/**
 * Runs tap and prints what a person wants to know: each file as it ends, every failure with its
 * diagnosis, what was skipped and why, and a final count. With CI set, a skipped test is a failure.
 */

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const tap = join(import.meta.dirname, '../node_modules/tap/dist/esm/run.mjs')
const child = spawn(process.execPath, [tap, '--reporter=tap', ...process.argv.slice(2)], {
  stdio: ['ignore', 'pipe', 'inherit'],
})

process.stdout.on('error', () => process.exit(1))

const counts = { total: 0, pass: 0, fail: 0, skip: 0 }
let file = ''
/** Indentation of the failure whose diagnosis may follow, or is being shown. */
let failed: string | undefined
let diagnosis: string | undefined

for await (const line of createInterface({ input: child.stdout })) {
  const subtest = /^# Subtest: (\S+\.test\.ts)/.exec(line)
  if (subtest?.[1]) file = subtest[1]

  if (failed !== undefined && line === `${failed}  ---`) diagnosis = failed
  failed = undefined
  if (diagnosis !== undefined) {
    process.stdout.write(`${line}\n`)
    if (line === `${diagnosis}  ...`) diagnosis = undefined
    continue
  }
  const failure = /^(\s*)not ok /.exec(line)
  if (failure && !/# (?:TODO|SKIP)/i.test(line)) {
    process.stdout.write(`${file}\n${line}\n`)
    failed = failure[1]
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

const status = await new Promise<number>(resolve => {
  if (child.exitCode !== null) resolve(child.exitCode)
  else child.once('exit', code => resolve(code ?? 1))
})
const skippedOnCi = process.env.CI !== undefined && counts.skip > 0
if (skippedOnCi) process.stdout.write('With CI set nothing may be skipped.\n')
process.stdout.write(`${counts.pass} passed, ${counts.fail} failed, ${counts.skip} skipped\n`)
process.exitCode = status !== 0 || skippedOnCi || counts.total === 0 ? 1 : 0
