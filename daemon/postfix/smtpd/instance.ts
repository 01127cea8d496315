/**
 * One Postfix instance as its smtpd processes see it: parameters, services, running or not.
 *
 * The defaults and the version come from `postconf -d`, everything else from main.cf and master.cf
 * themselves. Postfix's programs wait until main.cf is a second old, and postconf shows some of
 * what smtpd understands in another form; `postconf -d` does neither. Nothing is changed here.
 */

import fs from 'node:fs'
import path from 'node:path'
import { type Finished, NOT_FOUND, type Run } from '../../system/external-program.ts'
import { compareLevels } from './expand.ts'
import { type FatalMistake, fatalMistake } from './fatal-mistakes.ts'
import { lineAt, logicalLines } from './logical-lines.ts'
import { readDefinitions } from './main-cf.ts'
import { brokenWord, type MasterService, readServices } from './master-cf.ts'
import {
  type Parameters,
  parametersOf,
  readDefaults,
  readSettings,
  type Settings,
} from './parameters.ts'
import { lastReload, masterOf } from './processes.ts'
import { tokenise } from './restriction-list.ts'

export interface SmtpdService {
  /** `submission/inet` */
  readonly name: string
  readonly master: MasterService
  readonly parameters: Parameters
  readonly isChrooted: boolean
  /** Why this smtpd does not start. */
  readonly mistake: FatalMistake | undefined
}

export interface ConfigurationFile {
  readonly file: string
  /** One character per byte. */
  readonly text: string
}

export interface PostfixInstance {
  readonly configDir: string
  readonly version: string
  readonly isRunning: boolean
  /** For a running instance: files that have changed since it read them. */
  readonly changedSinceReload: readonly string[]
  readonly queueDirectory: string
  readonly mainCf: ConfigurationFile
  readonly masterCf: ConfigurationFile
  /** What main.cf sets. */
  readonly settings: Settings
  /** The parameters of main.cf, without what services override. */
  readonly parameters: Parameters
  /** The enabled smtpd services, in the order of master.cf. */
  readonly services: readonly SmtpdService[]
  /** Those disabled by master_service_disable. */
  readonly disabled: readonly string[]
  /** A line that makes every Postfix program give up. */
  readonly mistake: string | undefined
}

export interface NoPostfix {
  readonly configDir: string
  readonly absent: true
  readonly reason: string
}

export type Instance = PostfixInstance | NoPostfix

export function isAbsent(instance: Instance): instance is NoPostfix {
  return 'absent' in instance
}

/** The primary instance's directory: the one compiled into Postfix. */
async function primaryConfigDir(run: Run): Promise<string> {
  const { status, stdout } = await run(['postconf', '-dh', 'config_directory'])
  return status === 0 && stdout.trim() ? stdout.trim() : '/etc/postfix'
}

/** The directories of the primary instance and of all other enabled ones (postmulti(1)). */
export async function allConfigDirs(run: Run): Promise<string[]> {
  const primary = await primaryConfigDir(run)
  return [primary, ...(await otherConfigDirs(run, primary))]
}

/** Secondary instances that are enabled, or running although they are not. */
async function otherConfigDirs(run: Run, primary: string): Promise<string[]> {
  const instance = await readInstance(run, primary)
  if (isAbsent(instance)) return []
  const directories = tokenise(instance.parameters.value('multi_instance_directories'))
  const others = await Promise.all(directories.map(({ text }) => readInstance(run, text)))
  return others.flatMap(other => {
    if (isAbsent(other)) return []
    const isOn = other.parameters.isYes('multi_instance_enable') || other.isRunning
    return isOn ? [other.configDir] : []
  })
}

/** Texts to use instead of the files on disk, to see what they would result in. */
export interface Candidate {
  readonly mainCf?: string
  readonly masterCf?: string
}

export async function readInstance(
  run: Run,
  configDir: string,
  candidate: Candidate = {},
): Promise<Instance> {
  const defaults = await postconfDefaults(run)
  if (defaults.status !== 0) {
    return { configDir, absent: true, reason: whyNot(defaults, configDir) }
  }
  const mainCf = readFile(configDir, 'main.cf', candidate.mainCf)
  const masterCf = readFile(configDir, 'master.cf', candidate.masterCf)
  if (typeof mainCf === 'string') return { configDir, absent: true, reason: mainCf }
  if (typeof masterCf === 'string') return { configDir, absent: true, reason: masterCf }
  // The compiled-in value is the primary instance's; every process is told its own.
  const own = new Map(readDefaults(defaults.stdout)).set('config_directory', configDir)
  return assemble(configDir, own, mainCf, masterCf)
}

const known = new WeakMap<Run, Promise<Finished>>()

/** Defaults are compiled in: one call serves all instances, however often they are read. */
function postconfDefaults(run: Run): Promise<Finished> {
  const asked = known.get(run) ?? run(['postconf', '-d'])
  known.set(run, asked)
  return asked
}

function assemble(
  configDir: string,
  defaults: ReadonlyMap<string, string>,
  mainCf: ConfigurationFile,
  masterCf: ConfigurationFile,
): PostfixInstance {
  const version = defaults.get('mail_version') ?? ''
  const settings = readSettings(mainCf.text, mainCf.file)
  const parameters = parametersOf(settings, defaults)
  const isOff = disables(parameters.value('master_service_disable'))
  const smtpd = readServices(masterCf.text).filter(isSmtpd)
  const services = smtpd.map(service => {
    const own = parametersOf(settings, defaults, { service, file: masterCf.file })
    return {
      name: service.name,
      master: service,
      parameters: own,
      isChrooted: isChrooted(service, parameters),
      mistake: fatalMistake(service, own, version),
    }
  })
  const queueDirectory = parameters.value('queue_directory')
  const master = masterOf(queueDirectory, configDir)
  return {
    configDir,
    version,
    isRunning: master !== undefined,
    changedSinceReload: changedSinceReload([mainCf, masterCf], master),
    queueDirectory,
    mainCf,
    masterCf,
    settings,
    parameters,
    services: services.filter(({ name }) => !isOff(name)),
    disabled: services.map(({ name }) => name).filter(isOff),
    mistake: badLine(mainCf) ?? badWord(masterCf),
  }
}

function readFile(
  configDir: string,
  name: string,
  candidate: string | undefined,
): ConfigurationFile | string {
  const file = path.join(configDir, name)
  if (candidate !== undefined) return { file, text: candidate }
  try {
    return { file, text: fs.readFileSync(file, 'latin1') }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const isGone = 'code' in error && error.code === 'ENOENT'
    const why = isGone ? `there is no ${name}` : error.message
    return `Postfix has no usable configuration in ${configDir}: ${why}`
  }
}

/** A relative path starts at the daemon directory. */
function isSmtpd({ program }: MasterService): boolean {
  return path.basename(program) === 'smtpd'
}

/** Without a compatibility level, `-` means yes (Postfix 3.0). */
function isChrooted({ chroot }: MasterService, parameters: Parameters): boolean {
  if (chroot !== '-') return chroot === 'y'
  return compareLevels(parameters.value('compatibility_level'), '1') < 0
}

/**
 * `inet`, `NAME/TYPE` or the older `NAME.TYPE`, each optionally preceded by `!`: the first match
 * counts.
 */
function disables(list: string): (service: string) => boolean {
  const patterns = tokenise(list).map(({ text }) => {
    const [, nots = '', pattern = ''] = /^(!*)(.*)$/.exec(text) ?? []
    const full = pattern.includes('/') ? pattern : pattern.replace(/\.([^.]*)$/, '/$1')
    return { matches: nots.length % 2 === 0, full: full.toLowerCase() }
  })
  return service => {
    const name = service.toLowerCase()
    const type = name.slice(name.lastIndexOf('/') + 1)
    const found = patterns.find(({ full }) => full === (full.includes('/') ? name : type))
    return found?.matches ?? false
  }
}

/** Files written after Postfix last read them: the running processes may behave differently. */
function changedSinceReload(
  files: readonly ConfigurationFile[],
  master: string | undefined,
): string[] {
  const readAt = master === undefined ? undefined : lastReload(master)
  if (readAt === undefined) return []
  return files.flatMap(({ file }) => {
    // ctime, not mtime: a file restored with its old date has changed all the same.
    const changedAt = Math.max(fs.statSync(file).ctimeMs, fs.lstatSync(file).ctimeMs)
    // Time stamps of files and processes have a resolution of 10 ms.
    return changedAt > readAt + 50 ? [file] : []
  })
}

function badLine({ file, text }: ConfigurationFile): string | undefined {
  const good = new Set(readDefinitions(text).map(({ start }) => start))
  const bad = logicalLines(text).find(([first]) => first && !good.has(first.start))?.[0]
  if (!bad) return undefined
  return `${file}:${lineAt(text, bad.start)}: this is not NAME = VALUE`
}

function badWord({ file, text }: ConfigurationFile): string | undefined {
  const bad = brokenWord(text)
  return bad && `${file}:${bad.line}: the braces of "${bad.text}" are not balanced`
}

/** What `postfix check` complains about, each different line once. */
export async function complaints(run: Run, configDir: string): Promise<Set<string>> {
  const { status, stdout, stderr } = await run(['postfix', '-c', configDir, 'check'])
  // Line numbers shift when a line above is removed; that is not a new complaint.
  const said = lines(stdout + stderr).map(line => line.replace(/\bline \d+/g, 'line …'))
  // postfix-script writes its own findings to the log only; its exit status still shows that there
  // are some.
  return new Set(status === 0 ? said : [...said, `postfix check: exit status ${status}`])
}

function whyNot({ status, stderr }: Finished, configDir: string): string {
  if (status === NOT_FOUND) return 'Postfix is not installed (no postconf)'
  const fatal = lines(stderr).find(line => line.includes('fatal:')) ?? lines(stderr)[0]
  return `Postfix has no usable configuration in ${configDir}: ${fatal ?? `postconf: ${status}`}`
}

function lines(text: string): string[] {
  return text.split('\n').filter(line => line.trim() !== '')
}
