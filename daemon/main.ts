/**
 * mtpolicyd - the policy daemon.
 *
 * Reads the command line, starts the daemon and turns signals into calls. The options are the original's;
 * unknown ones are reported and ignored, as the original starts with them as well.
 */

import { fstatSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { checkConfiguration, findConfiguration } from './assembly/configuration.ts'
import { type Paths, pathsBelow } from './assembly/paths.ts'
import { daemonOptions as options } from './cli/options.ts'
import { optionList } from './cli/usage.ts'
import { formatProblem } from './policy/problem.ts'
import { systemdListens } from './registry/environment.ts'
import { Daemon } from './run/daemon.ts'
import { UnusableConfiguration } from './run/generation.ts'
import { addonNotify, supervisorOf } from './run/supervisor.ts'
import { runTasks } from './run/tasks.ts'
import { describeError } from './system/errors.ts'
import { version } from './version.ts'

const USAGE = `Usage: mtpolicyd [--root DIR] [-f] [-c FILE] [-l N]

Answers Postfix's policy requests: may this mail be sent?

${optionList(options)}
Signals: HUP reload, USR1 reopen the log file, TERM stop after answering.
The manual: mtpolicyd(8), mtpolicyctl(8), mtpolicyd.conf(5).
`

/**
 * Exit status of a start that failed for a known reason under systemd, EX_CONFIG of sysexits.h: the unit
 * does not restart it at once. Without systemd it is 1.
 */
const RESTART_LATER = 78
/** Exit status after a bug in a running daemon, EX_SOFTWARE: the unit restarts it at once. */
const RESTART_NOW = 70
/** Problems of a configuration that go to the log: systemd tries again once a minute. */
const MOST_PROBLEMS = 10

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
    const [kind, word] =
      token.kind === 'option' ? ['option', token.rawName] : ['argument', token.value]
    say(`mtpolicyd: ignoring unknown ${kind} ${word}; see --help`, '<4>')
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

/** As in the original, 0 and anything that is not a number keep the file's level. */
function debugLevel(text: string | undefined): number | undefined {
  const level = Number.parseInt(text ?? '', 10)
  return level > 0 ? level : undefined
}

/** Does standard error go to systemd's journal or to syslog? systemd names the stream that it has passed. */
function isLogged(): boolean {
  const { dev, ino } = fstatSync(process.stderr.fd)
  const { JOURNAL_STREAM, MTPOLICYD_SYSLOG } = process.env
  return JOURNAL_STREAM === `${dev}:${ino}` || MTPOLICYD_SYSLOG === '1'
}

/** systemd and logger take `<3>` for an error and `<4>` for a warning: sd-daemon(3). */
function say(text: string, priority: '<3>' | '<4>'): void {
  const lines = isLogged() ? text.replace(/^/gm, priority) : text
  process.stderr.write(`${lines}\n`)
}

async function run(
  paths: Paths,
  file: string | undefined,
  debug: number | undefined,
): Promise<number | undefined> {
  const supervisor = supervisorOf({
    env: process.env,
    pid: process.pid,
    notify: addonNotify(paths.notifiers),
    warn: message => say(`mtpolicyd: ${message}`, '<4>'),
  })
  // Started by hand while systemd's units exist, it opens its sockets itself.
  const systemdHasSockets =
    supervisor.sockets.length > 0 || (supervisor.isPresent && systemdListens(paths.root))
  const starting = Daemon.start({
    paths,
    source: () => findConfiguration(paths, file, systemdHasSockets),
    debug,
    priorities: isLogged(),
    control: file === undefined,
    supervisor,
  })
  // At once: a signal in the first moments waits for the daemon instead of killing it.
  handleSignals(starting)
  try {
    await starting
  } catch (error) {
    const isExpected = error instanceof UnusableConfiguration
    const most = supervisor.isPresent ? MOST_PROBLEMS : Number.POSITIVE_INFINITY
    const why = isExpected ? firstLines(error.message, most) : describeError(error)
    say(isExpected ? why : `mtpolicyd: ${why}`, '<3>')
    return supervisor.isPresent ? RESTART_LATER : 1
  }
  process.on('uncaughtException', error => {
    say(`mtpolicyd: ${error.stack ?? error.message}`, '<3>')
    process.exit(RESTART_NOW)
  })
  process.send?.('listening')
  return undefined
}

function firstLines(text: string, most: number): string {
  const lines = text.split('\n')
  const more = lines.length - most
  if (more <= 0) return text
  return [...lines.slice(0, most), `and ${more} more; see mtpolicyctl check`].join('\n')
}

/** Signals that arrive before the daemon has started take effect then; a failed start ends the process. */
function handleSignals(starting: Promise<Daemon>): void {
  const tell = (act: (daemon: Daemon) => unknown): void => {
    void starting.then(act).catch(() => undefined)
  }
  let isStopping = false
  const stop = (milliseconds: number): void => {
    if (isStopping) return
    isStopping = true
    tell(daemon => daemon.stop(milliseconds).finally(() => process.exit(0)))
  }
  process.on('SIGTERM', () => stop(STOP_MILLISECONDS))
  process.on('SIGINT', () => stop(STOP_MILLISECONDS))
  process.on('SIGQUIT', () => stop(STOP_MILLISECONDS))
  process.on('SIGHUP', () => tell(daemon => daemon.reload()))
  process.on('SIGUSR1', () => tell(daemon => daemon.reopenLog()))
  // They would end the process, as they did the original; nothing here needs them.
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
 * Without -f: starts the daemon in the background, with logger(1) between it and syslog, and returns when
 * it listens or has failed.
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
      process.stderr.write(`mtpolicyd: cannot run logger(1): ${error.message}\n`)
    })
    child.once('message', () => resolve(0))
    child.once('exit', status => {
      process.stderr.write('mtpolicyd: the daemon did not start; see the mail log for the reason\n')
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
