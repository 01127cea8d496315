/**
 * mtpolicyctl - everything an administrator does with the daemon.
 *
 * Finds the command and hands over. Human text on a terminal, `--json` everywhere; exit 0 done, 1
 * refused or failed, 2 a value against its type, 64 a wrong call.
 */

import { parseArgs } from 'node:util'
import { checkConfiguration, checkStaged, findConfiguration } from '../configuration.ts'
import { askDaemon } from '../control/client.ts'
import { type Paths, pathsBelow } from '../paths.ts'
import { describeError } from '../policy/errors.ts'
import { formatProblem } from '../policy/problem.ts'
import { runProgram } from '../postfix/external-program.ts'
import { openRegistry } from '../registry/registry.ts'
import { version } from '../version.ts'
import { postfixCommand } from './postfix-command.ts'
import { registryActions, runRegistryCommand } from './registry-commands.ts'
import { statusCommand } from './status-command.ts'

const USAGE = `Usage: mtpolicyctl [--root DIR] COMMAND ...

The daemon
  status [--json]       is it alive, does it count, does Postfix ask it
  check [FILE] [--json] what is wrong with the configuration
  reload                take over a changed configuration

The host variables
  set NAME=VALUE ...    e.g. set mtpolicyd/threshold=200; takes effect at once
  unset NAME ...        back to the default
  get NAME              the value
  search [TEXT]         variables with their meaning
  info NAME ...         one variable in full
  dump | shell          all values, for people | for a shell
  commit                write the configuration from the variables anew
  update                take over new defaults

Postfix
  postfix register      ask the daemon about every message
  postfix unregister    take exactly that back
  postfix status        what Postfix asks now

  --root DIR            all paths of the program below DIR
  --version, --help

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
  const rawArguments = rest.filter(
    (argument, at) => !(argument === command && at === rest.indexOf(command)),
  )
  switch (command) {
    case 'status':
      return statusCommand(rawArguments, { paths, out, err, postfix: () => postfixIo(paths) })
    case 'check':
      return check(paths, rawArguments)
    case 'reload':
      return reload(paths)
    case 'postfix':
      return postfixCommand(rawArguments, { out, err, ...postfixIo(paths) })
    default:
      if (command !== undefined && !registryActions.some(action => action === command)) {
        return usage(`unknown command "${command}"`)
      }
      return runRegistryCommand(rest, {
        root: paths.root,
        env: process.env,
        templates: paths.templates,
        stdout: out,
        stderr: err,
        check: (staged, target) => checkStaged(paths, staged, target),
        reload: () => reloadIfRunning(paths),
      })
  }
}

function usage(message: string): number {
  err(`mtpolicyctl: ${message}; see mtpolicyctl --help\n`)
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
  const values = openRegistry({ root: paths.root, env: process.env }).values()
  const host = values.get('mtpolicyd/host') ?? 'localhost'
  const port = Number(values.get('mtpolicyd/port') ?? 12345)
  return {
    run: runProgram,
    endpoint: { host, port },
    stateFile: `${paths.state}/postfix.json`,
    // Below another root there is another Postfix, or none: the host's own is not ours to change.
    ...(paths.root === '/' ? {} : { configDirs: [`${paths.root}/etc/postfix`] }),
  }
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
    return usage(describeError(error))
  }
  const [file, ...more] = parsed.positionals
  if (more.length > 0) return usage('check takes one file')
  const source = await findConfiguration(paths, file)
  const problems = checkConfiguration(paths, source.file, source.text)
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

async function reload(paths: Paths): Promise<number> {
  const reply = await askDaemon<readonly string[]>(paths.control, 'reload')
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

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  err(`mtpolicyctl: ${describeError(error)}\n`)
  process.exitCode = 1
}
