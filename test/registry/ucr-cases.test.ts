/** Compares our registry with UCR as recorded on a UCS 5.2-2 server: step by step the same */

import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import * as v from 'valibot'
import { runRegistryCommand } from '../support/command.ts'

const Step = v.object({
  cmd: v.string(),
  stdout: v.string(),
  stderr: v.string(),
  rc: v.number(),
})
const Recorded = v.object({
  info_cfg: v.string(),
  cases: v.array(
    v.object({ name: v.string(), with_descriptions: v.boolean(), steps: v.array(Step) }),
  ),
})
type Step = v.InferOutput<typeof Step>

const recorded = v.parse(
  Recorded,
  JSON.parse(readFileSync(new URL('ucr-cases.json', import.meta.url), 'utf8')),
)

interface Difference {
  readonly name: string
  /** Which step; all of them if missing. */
  readonly step?: number
  readonly why: string
  /** What we do instead; the step is skipped if missing. */
  readonly ours?: Partial<Step>
}

const noEmptyLines = 'the empty lines of --non-empty are a defect of UCR'
const differences: readonly Difference[] = [
  {
    name: 'set empty value',
    step: 4,
    why: noEmptyLines,
    ours: { stdout: '' },
  },
  { name: 'search with info', step: 2, why: noEmptyLines, ours: { stdout: '' } },
  { name: 'search with info', step: 6, why: noEmptyLines, ours: { stdout: '' } },
  {
    name: '--non-empty drops blanks?',
    step: 0,
    why: noEmptyLines,
    ours: { stdout: 'mtpolicyd/port: 1$\n' },
  },
  {
    name: 'set invalid key chars',
    step: 0,
    why: 'keys with spaces or * are rejected',
    ours: {
      stdout:
        'Not setting a b\nNot setting a*b\nNot setting a(b\nNot setting a[b\nNot setting a;b\nNot setting a$b\n',
      stderr: ['a b', 'a*b', 'a(b', 'a[b', 'a;b', 'a$b']
        .map(key => {
          return `Please fix invalid character "${key[1]}" in config variable key "${key}".\n`
        })
        .join(''),
    },
  },
  {
    name: 'set invalid key chars',
    step: 6,
    why: 'keys with spaces or * are rejected',
    ours: { stdout: 'ä/ö: 1\n' },
  },
  {
    name: 'dump empty',
    step: 1,
    why: 'a Python traceback is not worth copying',
    ours: { stderr: '', rc: 0 },
  },
  {
    name: 'search bad regex',
    step: 0,
    why: "our regular expressions are JavaScript's, and so is the error message",
    ours: {
      stderr:
        'E: invalid regular expression: Invalid regular expression: /(/: Unterminated group\n',
    },
  },
  {
    name: 'type check uint',
    step: 9,
    why: '1_000 is not a number',
    ours: { stderr: "E: Value '1_000' incompatible for 'mtpolicyd/threshold'\n", rc: 2 },
  },
  { name: 'options', step: 0, why: '--version belongs to the whole program' },
  { name: 'options', step: 1, why: '-v belongs to the whole program' },
  { name: 'filter', why: 'UCR’s template language: ours is Handlebars' },
  { name: 'is_ucr_true', why: 'a shell library of UCS' },
  {
    name: 'file perms',
    why: 'the files beside ours differ, and our backup is as secret as its file (layers.test.ts)',
  },
]

// Many short processes of the same modules.
const cache = mkdtempSync(join(tmpdir(), 'registry-cache-'))
t.teardown(() => rmSync(cache, { recursive: true }))

const steps = new Set<string>()
for (const { name, with_descriptions: isDescribed, steps: recordedSteps } of recorded.cases) {
  t.test(`as UCR: ${name}`, async t => {
    const root = mkdtempSync(join(tmpdir(), 'registry-'))
    t.teardown(() => rmSync(root, { recursive: true }))
    const host = prepare(root, isDescribed)
    for (const [index, step] of recordedSteps.entries()) {
      const difference = differences.find(entry => {
        return entry.name === name && (entry.step === undefined || entry.step === index)
      })
      if (difference !== undefined) {
        steps.add(`${name} ${difference.step}`)
        t.comment(`${step.cmd}: ${difference.why}`)
        if (difference.ours === undefined) continue
      }
      if (step.cmd.includes('setpriv') && process.getuid?.() !== 0) {
        t.comment(`${step.cmd}: skipped, only root can switch to another user`)
        continue
      }
      const expected = { ...step, ...difference?.ours }
      const { stdout, stderr, rc } = await host.run(step.cmd)
      const known = stderr.replace(/^ {2}.*\n/gm, '')
      t.strictSame(
        { stdout, stderr: known, rc },
        {
          stdout: expected.stdout,
          stderr: expected.stderr.replaceAll('univention-config-registry --', 'mtpolicyctl --'),
          rc: expected.rc,
        },
        step.cmd,
      )
      const refusals = stderr.match(/^(E: Value .*|Please fix .*)$/gm) ?? []
      const explanations = stderr.match(/^ {2}\S.*$/gm) ?? []
      t.ok(explanations.length >= refusals.length, 'each rejection says what was expected')
    }
  })
}

t.test('every difference from UCR that we claim was recorded', async t => {
  for (const { name, step } of differences) t.ok(steps.has(`${name} ${step}`), `${name} ${step}`)
})

/** A host with our registry, where the recorded command lines mean our files and our program. */
function prepare(root: string, isDescribed: boolean) {
  const registry = join(root, 'etc/univention-mtpolicyd/registry')
  mkdirSync(join(registry, 'info'), { recursive: true })
  mkdirSync(join(root, 'bin'))
  // The test for an ordinary user needs access to this.
  chmodSync(root, 0o755)
  if (isDescribed) writeFileSync(join(registry, 'info/fixture.cfg'), recorded.info_cfg)
  const program = new URL('registry-command.ts', import.meta.url).pathname
  // tap's own NODE_OPTIONS write into the checkout, which an ordinary user must not.
  const wrapper = `#!/bin/sh\nNODE_OPTIONS= NODE_COMPILE_CACHE='${cache}' REGISTRY_ROOT='${root}' exec '${process.execPath}' '${program}' "$@"\n`
  writeFileSync(join(root, 'bin/ucr'), wrapper, { mode: 0o755 })

  const places: ReadonlyArray<readonly [theirs: string, ours: string]> = [
    ['/etc/univention/registry.info/variables', join(registry, 'info')],
    ['/etc/univention', registry],
    ['/tmp/oracle', join(root, 'oracle')],
    [
      '/var/log/univention/config-registry.replog',
      join(root, 'var/log/univention-mtpolicyd/registry.replog'),
    ],
  ]
  // In one pass, so that our replacements are not replaced again.
  const theirs =
    /\/etc\/univention\/registry\.info\/variables|\/etc\/univention|\/tmp\/oracle|\/var\/log\/univention\/config-registry\.replog/g
  const another = /setpriv --reuid=(\d+) --regid=\d+ --clear-groups env /g
  const here = (text: string) =>
    text
      .replace(another, 'env REGISTRY_USER=$1 ')
      .replace(theirs, place => new Map(places).get(place) ?? place)
  const there = (text: string) =>
    places.reduce((all, [place, ours]) => all.replaceAll(ours, place), text)

  return {
    async run(command: string): Promise<{ stdout: string; stderr: string; rc: number }> {
      const words = simpleWords(command)
      if (words?.[0] === 'ucr') return runHere(root, words.slice(1))
      const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-c', here(command)], {
        stdio: ['ignore', 'pipe', 'pipe'],
        encoding: 'utf8',
        env: { PATH: `${join(root, 'bin')}:${process.env.PATH}`, LC_ALL: 'C.UTF-8' },
      })
      return { stdout: there(stdout), stderr: there(stderr), rc: status ?? -1 }
    },
  }
}

async function runHere(root: string, argv: string[]) {
  const out = { stdout: '', stderr: '' }
  const rc = await runRegistryCommand(argv, {
    root,
    env: {},
    declarations: [],
    templates: join(root, 'no-templates'),
    stdout: text => {
      out.stdout += text
    },
    stderr: text => {
      out.stderr += text
    },
    check: () => [],
    reload: () => {},
  })
  return { ...out, rc }
}

/** Splits a command line that needs no shell, as most recorded ones do; a shell takes time. */
function simpleWords(command: string): string[] | undefined {
  if (/[;|&<>`\n]|\$'|\\/.test(command)) return undefined
  return Array.from(command.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g), ([word]) => {
    return word.replace(/"([^"]*)"|'([^']*)'/g, (_, double = '', single = '') => double + single)
  })
}
