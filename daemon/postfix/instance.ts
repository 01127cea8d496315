/**
 * One Postfix instance as its own programs describe it: version, services, lists, running or not.
 *
 * Everything is asked of `postconf` and `postfix` with `-c DIR`, never guessed from files, so what
 * master.cf overrides and `$name` refers to is seen as smtpd sees it. Nothing is changed here.
 */

import { type Finished, NOT_FOUND, type Run } from './external-program.ts'
import { END_OF_DATA } from './restriction-list.ts'

export interface SmtpdService {
  /** `submission/inet` */
  readonly name: string
  /** Clients can log in here. */
  readonly authenticates: boolean
  /** Its own end-of-data list from master.cf; undefined: main.cf's counts. */
  readonly override: string | undefined
}

export interface PostfixInstance {
  readonly configDir: string
  readonly version: string
  readonly isRunning: boolean
  readonly services: readonly SmtpdService[]
  /** The end-of-data list of main.cf, `$name` expanded. */
  readonly endOfData: string
  /** Every other parameter set in main.cf or overridden in master.cf (`submission/inet/NAME`). */
  readonly settings: ReadonlyMap<string, string>
}

export interface NoPostfix {
  readonly configDir: string
  readonly absent: true
  readonly reason: string
}

/** The primary instance's directory: the one compiled into Postfix. */
export async function primaryConfigDir(run: Run): Promise<string> {
  const { status, stdout } = await run(['postconf', '-dh', 'config_directory'])
  return status === 0 && stdout.trim() ? stdout.trim() : '/etc/postfix'
}

/** The directories of the other instances that `postmulti` knows. */
export async function otherConfigDirs(run: Run, primary: string): Promise<string[]> {
  const { status, stdout } = await run(['postmulti', '-l'])
  if (status !== 0) return []
  const directories = lines(stdout).map(line => line.trim().split(/\s+/)[3] ?? '')
  return directories.filter(directory => directory !== '' && directory !== primary)
}

export async function readInstance(
  run: Run,
  configDir: string,
): Promise<PostfixInstance | NoPostfix> {
  const postconf = (...argv: string[]) => run(['postconf', '-c', configDir, ...argv])
  const version = await postconf('-h', 'mail_version')
  if (version.status !== 0) return { configDir, absent: true, reason: whyNot(version, configDir) }
  const [endOfData, auth, services, overrides, settings, status] = await Promise.all([
    postconf('-xh', END_OF_DATA),
    postconf('-xh', 'smtpd_sasl_auth_enable'),
    postconf('-M'),
    postconf('-P'),
    postconf('-n'),
    run(['postfix', '-c', configDir, 'status']),
  ])
  const own = pairs(overrides.stdout)
  const main = pairs(settings.stdout)
  main.delete(END_OF_DATA)
  return {
    configDir,
    version: version.stdout.trim(),
    isRunning: status.status === 0,
    services: smtpdServices(services.stdout, own, auth.stdout.trim()),
    endOfData: endOfData.stdout.trim(),
    settings: new Map([...main, ...own]),
  }
}

/** `postfix check`: what it complains about, one entry per different line. */
export async function complaints(run: Run, configDir: string): Promise<Set<string>> {
  const { status, stdout, stderr } = await run(['postfix', '-c', configDir, 'check'])
  // Line numbers move when a line above goes; that is no new complaint.
  const said = lines(stdout + stderr).map(line => line.replace(/\bline \d+/g, 'line …'))
  // postfix-script writes its own findings to the log only; its exit status still tells.
  return new Set(status === 0 ? said : [...said, `postfix check: exit status ${status}`])
}

function smtpdServices(
  masterLines: string,
  overrides: ReadonlyMap<string, string>,
  authInMain: string,
): SmtpdService[] {
  const rows = lines(masterLines).map(line => {
    const columns = line.trim().split(/\s+/)
    return { line, name: `${columns[0]}/${columns[1]}`, program: columns[7] }
  })
  // Of two entries for one service Postfix uses the last, but `postconf -P` mixes them.
  const last = new Map(rows.map(row => [row.name, row]))
  const isDouble = (name: string) => rows.filter(row => row.name === name).length > 1
  return [...last.values()].flatMap(({ line, name, program }) => {
    if (program !== 'smtpd') return []
    const option = (parameter: string) =>
      isDouble(name) ? optionOf(line, parameter) : overrides.get(`${name}/${parameter}`)
    const auth = option('smtpd_sasl_auth_enable') ?? authInMain
    const override = option(END_OF_DATA)
    return [{ name, authenticates: auth.toLowerCase() === 'yes', override }]
  })
}

/** `-o NAME=VALUE` or `-o { NAME = VALUE }` of one line of master.cf; the last counts. */
function optionOf(line: string, parameter: string): string | undefined {
  const pattern = new RegExp(
    `\\s-o\\s+(?:${parameter}=(\\S*)|\\{\\s*${parameter}\\s*=\\s*(.*?)\\s*\\}(?=\\s|$))`,
    'g',
  )
  const found = [...line.matchAll(pattern)].at(-1)
  return found && (found[1] ?? found[2] ?? '')
}

/** `name = value` lines, as postconf prints them. */
function pairs(text: string): Map<string, string> {
  const found = lines(text).flatMap(line => {
    const match = /^(\S+) =\s?(.*)$/.exec(line)
    return match ? [[match[1] ?? '', match[2] ?? ''] as const] : []
  })
  return new Map(found)
}

function whyNot({ status, stderr }: Finished, configDir: string): string {
  if (status === NOT_FOUND) return 'Postfix is not installed (no postconf)'
  const fatal = lines(stderr).find(line => line.includes('fatal:')) ?? lines(stderr)[0]
  return `Postfix has no usable configuration in ${configDir}: ${fatal ?? `postconf: ${status}`}`
}

function lines(text: string): string[] {
  return text.split('\n').filter(line => line.trim() !== '')
}
