/**
 * mtpolicyctl - everything an administrator does with the daemon.
 *
 * Finds the command and hands over. Human text on a terminal, `--json` everywhere; exit 0 done, 1
 * refused or failed, 2 a value against its type, 64 a wrong call.
 */

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { checkConfiguration, checkStaged, findConfiguration } from '../configuration.ts'
import { askDaemon } from '../control/client.ts'
import { type Paths, pathsBelow } from '../paths.ts'
import { describeError } from '../policy/errors.ts'
import { formatProblem, nearestName } from '../policy/problem.ts'
import { runProgram } from '../postfix/external-program.ts'
import { follow } from '../postfix/register.ts'
import type { UcrAccess } from '../postfix/registration.ts'
import { openRegistry, type Registry } from '../registry/registry.ts'
import { isGenerated } from '../registry/template-files.ts'
import { findUcr } from '../registry/ucr.ts'
import { truth } from '../registry/value-types.ts'
import { version } from '../version.ts'
import { commandGroups, commands, controlOptions } from './command-table.ts'
import { geoipCommand } from './geoip-command.ts'
import { postfixCommand } from './postfix-command.ts'
import { readyCommand } from './ready-command.ts'
import { registryActions, runRegistryCommand } from './registry-commands.ts'
import { statusCommand } from './status-command.ts'
import { checkDropIn, takeEffect } from './take-effect.ts'
import { takeOver } from './takeover.ts'
import { takeoverCommand } from './takeover-command.ts'
import { ucrCommand } from './ucr-command.ts'
import { commandHelp, commandList, optionList } from './usage.ts'

const USAGE = `Usage: mtpolicyctl [--root DIR] COMMAND ...

${commandList(commandGroups)}
Options
${optionList(controlOptions)}
For one command: mtpolicyctl COMMAND --help. The manual: mtpolicyctl(8).
Exit status: 0 done, 1 refused or failed, 2 a value against its type, 64 usage.
`

const out = (text: string): void => void process.stdout.write(text)
const err = (text: string): void => void process.stderr.write(text)

const USAGE_ERROR = 64

async function main(argv: readonly string[]): Promise<number> {
  const { root, rest } = takeRoot(argv)
  if (root === undefined) return usage('--root needs a directory')
  const paths = pathsBelow(root)
  const command = rest.find(argument => !argument.startsWith('-'))
  const first = rest[0]
  if (first === undefined || first === '--help' || first === '-h' || first === '-?') {
    out(USAGE)
    return first === undefined ? USAGE_ERROR : 0
  }
  if (first === '--version' || first === '-v') {
    out(`mtpolicyctl ${version}\n`)
    return 0
  }
  if (
    command === 'help' ||
    rest.includes('--help') ||
    rest[rest.indexOf(command ?? '') + 1] === '-h'
  ) {
    return help(rest.filter(word => !word.startsWith('-') && word !== 'help'))
  }
  const rawArguments = rest.filter(
    (argument, at) => !(argument === command && at === rest.indexOf(command)),
  )
  switch (command) {
    case 'status':
      return statusCommand(rawArguments, {
        paths,
        out,
        err,
        postfix: () => postfixIo(paths),
        leavesPostfixAlone: () =>
          !wantsRegistration(openRegistry({ root: paths.root, env: process.env })),
      })
    case 'check':
      return check(paths, rawArguments)
    case 'reload':
      return reload(paths)
    case 'postfix':
      return postfixCommand(rawArguments, { out, err, ...postfixIo(paths) })
    case 'ucr':
      return ucrCommand(rawArguments, { out, err, run: runProgram, ucr: findUcr(paths.root) })
    case 'ready':
      return readyCommand(rawArguments, { err, ...paths, endpoint: postfixIo(paths).endpoint })
    case 'geoip':
      return geoipCommand(rawArguments, { out, err, paths, reload: () => reloadIfRunning(paths) })
    case 'takeover':
      return takeoverCommand(rawArguments, {
        out,
        err,
        takeOver: () =>
          takeOver({
            paths,
            isChanged: text => isChangedConffile(paths, text),
            check: (file, text) => checkConfiguration(paths, file, text),
            isGenerated,
          }),
        set: async assignments => (await registryCommand(paths, ['set', ...assignments])) === 0,
      })
    default:
      if (command !== undefined && !registryActions.some(action => action === command)) {
        return usage(unknownCommand(command))
      }
      return registryCommand(paths, rest)
  }
}

function registryCommand(paths: Paths, argv: readonly string[]): Promise<number> {
  return runRegistryCommand(argv, {
    root: paths.root,
    env: process.env,
    templates: paths.templates,
    stdout: out,
    stderr: err,
    check: async (staged, target) => [
      ...(await checkStaged(paths, staged, target)),
      ...(await checkDropIn(staged, target, { root: paths.root, isBooted: isBooted() })),
    ],
    reload: changed =>
      takeEffect(changed, {
        root: paths.root,
        isBooted: isBooted(),
        run: runProgram,
        reload: () => reloadIfRunning(paths),
        follow: () => follow(postfixIo(paths)),
        err,
      }),
  })
}

/** sd_booted(3) */
const isBooted = (): boolean => existsSync('/run/systemd/system')

/** What Debian's mtpolicyd brought, by dpkg's own record, is nobody's decision. */
async function isChangedConffile({ root }: Paths, text: string): Promise<boolean> {
  const database = join(root, 'var/lib/dpkg')
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholder
  const show = ['--show', '--showformat=${Conffiles}', 'mtpolicyd']
  const { stdout } = await runProgram(['dpkg-query', `--admindir=${database}`, ...show])
  const shipped = /^ ?\/etc\/mtpolicyd\/mtpolicyd\.conf ([0-9a-f]{32})/m.exec(stdout)?.[1]
  return shipped !== createHash('md5').update(text).digest('hex')
}

/** Of the command that these words begin with; `postfix` alone means all that begin with it. */
function help([first = '', second = '']: readonly string[]): number {
  const exact = commands.filter(({ name }) => name === first || name === `${first} ${second}`)
  const found =
    exact.length > 0 ? exact : commands.filter(({ name }) => name.split(' ')[0] === first)
  if (found.length === 0 && first !== '') return usage(unknownCommand(first))
  out(found.length === 0 ? USAGE : found.map(one => commandHelp('mtpolicyctl', one)).join('\n'))
  return 0
}

function unknownCommand(word: string): string {
  const second = commands.find(({ name }) => name.split(' ')[1] === word)
  if (second !== undefined) return `unknown command "${word}"; did you mean ${second.name}?`
  const near = nearestName(word, new Set(commands.map(({ name }) => name.split(' ')[0] ?? '')))
  return `unknown command "${word}"${near === undefined ? '' : `; did you mean ${near}?`}`
}

function usage(message: string): number {
  err(`mtpolicyctl: ${message}\nSee mtpolicyctl --help.\n`)
  return USAGE_ERROR
}

/** `--root DIR` or `--root=DIR`, before the command. */
function takeRoot(argv: readonly string[]): { root: string | undefined; rest: readonly string[] } {
  const [first = '', second] = argv
  if (first === '--root') return { root: second, rest: argv.slice(2) }
  if (first.startsWith('--root='))
    return { root: first.slice('--root='.length), rest: argv.slice(1) }
  return { root: '/', rest: argv }
}

function postfixIo(paths: Paths) {
  const registry = openRegistry({ root: paths.root, env: process.env })
  const values = registry.values()
  const host = values.get('mtpolicyd/host') ?? 'localhost'
  const port = Number(values.get('mtpolicyd/port') ?? 12345)
  return {
    run: runProgram,
    endpoint: { host, port },
    stateFile: `${paths.state}/postfix.json`,
    // Below another root there is another Postfix, or none: the host's own is not ours to change.
    ...(paths.root === '/' ? {} : { configDirs: [`${paths.root}/etc/postfix`] }),
    ...(registry.ucr === undefined ? {} : { ucr: ucrAccess(registry, registry.ucr) }),
  }
}

function ucrAccess(registry: Registry, program: string): UcrAccess {
  const mayComplete = wantsRegistration(registry)
  return { program, root: registry.root, view: () => registry.snapshot(), mayComplete }
}

function wantsRegistration(registry: Registry): boolean {
  return truth(registry.values().get('mtpolicyd/postfix/register')) !== false
}

async function check(paths: Paths, argv: readonly string[]): Promise<number> {
  let parsed: { values: { json?: boolean | undefined }; positionals: string[] }
  try {
    parsed = parseArgs({
      args: [...argv],
      options: { json: { type: 'boolean' } },
      allowPositionals: true,
    })
  } catch (error) {
    // What Node adds about positional arguments helps nobody here.
    return usage(describeError(error).replace(/\. To specify .*$/s, ''))
  }
  const [file, ...more] = parsed.positionals
  if (more.length > 0) return usage('check takes one file')
  const source = await findConfiguration(paths, file)
  const problems = await checkConfiguration(paths, source.file, source.text)
  const errors = problems.filter(({ severity }) => severity !== 'warning').length
  if (parsed.values.json) {
    out(`${JSON.stringify({ file: source.file, problems }, undefined, 2)}\n`)
  } else {
    err(problems.map(problem => `${formatProblem(problem)}\n`).join(''))
    const warnings = problems.length - errors
    if (problems.length === 0) out(`${source.file}: nothing wrong\n`)
    else err(`${count(errors, 'error')}, ${count(warnings, 'warning')}\n`)
  }
  return errors > 0 ? 1 : 0
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

/** How long a daemon may take from its exec to its control socket. */
const START_MILLISECONDS = 1500

async function reload(paths: Paths): Promise<number> {
  const deadline = Date.now() + START_MILLISECONDS
  let reply = await askDaemon<readonly string[]>(paths.control, 'reload')
  // One that was started just now is about to be there.
  while (!reply && Date.now() < deadline) {
    await new Promise(resolve => setTimeout(resolve, 50))
    reply = await askDaemon<readonly string[]>(paths.control, 'reload')
  }
  if (!reply) {
    err('mtpolicyctl: no daemon is running\n')
    return 1
  }
  if (!reply.ok) {
    err(`${reply.message}\nThe old configuration stays in use.\n`)
    return 1
  }
  err(reply.result.map(line => `${line}\n`).join(''))
  out('reloaded\n')
  return 0
}

/** After a variable has changed. No daemon is no error. */
async function reloadIfRunning(paths: Paths): Promise<void> {
  const reply = await askDaemon(paths.control, 'reload')
  if (reply && !reply.ok) throw new Error(reply.message)
}

// `mtpolicyctl dump | head` closes the pipe: what was asked for has been shown.
process.stdout.on('error', () => process.exit(1))

main(process.argv.slice(2)).then(
  status => {
    process.exitCode = status
  },
  error => {
    err(`mtpolicyctl: ${describeError(error)}\n`)
    process.exitCode = 1
  },
)
