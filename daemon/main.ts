/**
 * mtpolicyd - the policy daemon.
 *
 * Reads the command line, starts the daemon and turns signals into its verbs. The options are the
 * original's; what it had and we do not know is said and passed over, because it starts, too.
 */

import { fstatSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { daemonOptions as options } from './cli/command-table.ts'
import { optionList } from './cli/usage.ts'
import { checkConfiguration, findConfiguration } from './configuration.ts'
import { type Daemon, startDaemon, UnusableConfiguration } from './daemon.ts'
import { type Paths, pathsBelow } from './paths.ts'
import { describeError } from './policy/errors.ts'
import { formatProblem } from './policy/problem.ts'
import { addonNotify, supervisorOf } from './supervisor.ts'
import { runTasks } from './tasks.ts'
import { version } from './version.ts'

const USAGE = `Usage: mtpolicyd [--root DIR] [-f] [-c FILE] [-l N]

Answers Postfix's policy requests: may this mail be sent?

${optionList(options)}
Signals: HUP reload, USR1 reopen the log file, TERM stop after answering.
The manual: mtpolicyd(8), mtpolicyctl(8), mtpolicyd.conf(5).
`

/** How long open connections may take to get their answers at a stop; Postfix waits 5 s. */
const STOP_MILLISECONDS = 5000

async function main(argv: readonly string[]): Promise<number | undefined> {
  const { values, tokens } = parseArgs({ args: [...argv], options, strict: false, tokens: true })
  if (values.help) {
    process.stdout.write(USAGE)
    return 0
  }
  if (values.version) {
    process.stdout.write(`mtpolicyd ${version}\n`)
    return 0
  }
  for (const token of tokens) {
    const isKnown = token.kind === 'option' && Object.hasOwn(options, token.name)
    if (isKnown || token.kind === 'option-terminator') continue
    const word = token.kind === 'option' ? token.rawName : token.value
    say(`mtpolicyd: ${word} is not known and passed over; see --help`, '<4>')
  }
  const paths = pathsBelow(textOf(values.root) ?? '/')
  const file = textOf(values.config)
  if (values.cron !== undefined) return runCron(paths, file, textOf(values.cron) ?? '')
  if (values.dump_config || values.dump_vhosts) return dump(paths, file)
  if (!values.foreground) return goToBackground(argv)
  return run(paths, file, debugLevel(textOf(values.loglevel)))
}

const textOf = (value: string | boolean | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined

/** As in the original, 0 and nonsense leave the file's level alone. */
function debugLevel(text: string | undefined): number | undefined {
  const level = Number.parseInt(text ?? '', 10)
  return level > 0 ? level : undefined
}

/** Does systemd's journal, or syslog, read what we say? systemd names the stream it has given us. */
function isLogged(): boolean {
  const { dev, ino } = fstatSync(process.stderr.fd)
  const { JOURNAL_STREAM, MTPOLICYD_SYSLOG } = process.env
  return JOURNAL_STREAM === `${dev}:${ino}` || MTPOLICYD_SYSLOG === '1'
}

/** `<3>` is systemd's and logger's mark of an error, `<4>` of a warning: sd-daemon(3). */
function say(text: string, priority: '<3>' | '<4>'): void {
  const lines = isLogged() ? text.replace(/^/gm, priority) : text
  process.stderr.write(`${lines}\n`)
}

async function run(
  paths: Paths,
  file: string | undefined,
  debug: number | undefined,
): Promise<number | undefined> {
  const starting = startDaemon({
    paths,
    source: () => findConfiguration(paths, file),
    debug,
    priorities: isLogged(),
    control: file === undefined,
    supervisor: supervisorOf({
      env: process.env,
      pid: process.pid,
      notify: addonNotify(paths.notifiers),
      warn: message => say(`mtpolicyd: ${message}`, '<4>'),
    }),
  })
  // At once: a signal in the first moments waits for the daemon instead of ending it.
  handleSignals(starting)
  try {
    await starting
  } catch (error) {
    const isExpected = error instanceof UnusableConfiguration
    say(isExpected ? error.message : `mtpolicyd: ${describeError(error)}`, '<3>')
    return 1
  }
  process.send?.('listening')
  return undefined
}

/** A start that fails ends the process by itself. */
function handleSignals(starting: Promise<Daemon>): void {
  const tell = (act: (daemon: Daemon) => unknown): void => {
    void starting.then(act).catch(() => undefined)
  }
  let isStopping = false
  const stop = (milliseconds: number): void => {
    if (isStopping) return
    isStopping = true
    tell(daemon => daemon.stop(milliseconds).then(() => process.exit(0)))
  }
  process.on('SIGTERM', () => stop(STOP_MILLISECONDS))
  process.on('SIGINT', () => stop(STOP_MILLISECONDS))
  process.on('SIGQUIT', () => stop(STOP_MILLISECONDS))
  process.on('SIGHUP', () => tell(daemon => daemon.reload()))
  process.on('SIGUSR1', () => tell(daemon => daemon.reopenLog()))
  // The original died of these; nothing here needs them.
  for (const signal of ['SIGUSR2', 'SIGTTIN', 'SIGTTOU', 'SIGPIPE'] as const) {
    process.on(signal, () => undefined)
  }
}

async function runCron(paths: Paths, file: string | undefined, list: string): Promise<number> {
  const source = await findConfiguration(paths, file)
  const names = list.split(',').map(name => name.trim())
  const say = (line: string): unknown => process.stderr.write(`${line}\n`)
  return (await runTasks(paths, source, names, say)) ? 0 : 1
}

async function dump(paths: Paths, file: string | undefined): Promise<number> {
  const source = await findConfiguration(paths, file)
  const problems = await checkConfiguration(paths, source.file, source.text)
  process.stderr.write(problems.map(problem => `${formatProblem(problem)}\n`).join(''))
  return problems.some(({ severity }) => severity === 'fatal') ? 1 : 0
}

/**
 * Without -f: start again in the background, with logger(1) between us and syslog, and leave once
 * the daemon listens or has failed.
 */
function goToBackground(argv: readonly string[]): Promise<number> {
  const { spawn } = process.getBuiltinModule('node:child_process')
  const logger = spawn('logger', ['--prio-prefix', '-p', 'mail.info', '-t', 'mtpolicyd'], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  const script = process.argv[1] ?? ''
  const child = spawn(process.execPath, [...process.execArgv, script, ...argv, '-f'], {
    stdio: ['ignore', 'ignore', logger.stdin, 'ipc'],
    detached: true,
    env: { ...process.env, MTPOLICYD_SYSLOG: '1' },
  })
  return new Promise(resolve => {
    logger.once('error', error => {
      process.stderr.write(`mtpolicyd: logger(1) cannot be started: ${error.message}\n`)
    })
    child.once('message', () => resolve(0))
    child.once('exit', status => {
      process.stderr.write('mtpolicyd: it did not start; the reason is in the mail log\n')
      resolve(status || 1)
    })
  }).then(status => {
    if (child.connected) child.disconnect()
    child.unref()
    logger.unref()
    logger.stdin.destroy()
    return Number(status)
  })
}

void main(process.argv.slice(2)).then(status => {
  if (status !== undefined) process.exit(status)
})
