/**
 * Postfix's running processes, from /proc: which instances run, and when each last read its files.
 *
 * `postfix reload` stops the queue manager and pickup and starts them again at once, so their age
 * is the time since the last reload or start. Without root privileges less is visible; what cannot
 * be seen is not reported.
 */

import fs from 'node:fs'
import path from 'node:path'

interface Process {
  readonly pid: string
  readonly parent: string
  readonly name: string
  /** Milliseconds since the epoch, to 10 ms. */
  readonly startedAt: number
}

/** Linux counts a process's start time in this many ticks per second. */
const TICKS = 100

/** The process id of an instance's master, even if its pid file is gone. */
export function masterOf(queueDirectory: string, configDir: string): string | undefined {
  try {
    const pid = fs.readFileSync(path.join(queueDirectory, 'pid/master.pid'), 'utf8').trim()
    // A stale process id may belong to another program.
    if (readProcess(pid)?.name === 'master' && worksIn(pid, queueDirectory)) return pid
  } catch {
    // It may be running without a pid file.
  }
  return all().find(
    ({ name, pid }) => name === 'master' && seesOurFiles(pid) && startedWith(pid) === configDir,
  )?.pid
}

/** The configuration directory that `postfix start` gave to a master. */
function startedWith(pid: string): string | undefined {
  try {
    const environment = fs.readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
    const setting = environment.find(entry => entry.startsWith('MAIL_CONFIG='))
    return setting?.slice('MAIL_CONFIG='.length)
  } catch {
    return undefined
  }
}

/**
 * When a running instance last read master.cf, or slightly later; undefined if that cannot be told.
 * One of the two may have been restarted on its own, so the older one counts.
 */
export function lastReload(master: string): number | undefined {
  const restarted = all().filter(
    ({ parent, name }) => parent === master && /^(?:n?qmgr|pickup)$/.test(name),
  )
  if (!restarted.some(({ name }) => name !== 'pickup')) return undefined
  return Math.min(...restarted.map(({ startedAt }) => startedAt))
}

/** The configuration directories of all masters that run on this host, as they were started. */
export function runningConfigDirs(): string[] {
  return all().flatMap(({ name, pid }) => {
    if (name !== 'master' || !seesOurFiles(pid)) return []
    return startedWith(pid) ?? []
  })
}

/** Those in containers and chroots have other files under the same names. */
function seesOurFiles(pid: string): boolean {
  const linkOf = (name: string) => fs.readlinkSync(`/proc/${pid}/${name}`)
  try {
    return linkOf('ns/mnt') === fs.readlinkSync('/proc/self/ns/mnt') && linkOf('root') === '/'
  } catch {
    return false
  }
}

function all(): Process[] {
  const pids = fs.readdirSync('/proc').filter(name => /^\d+$/.test(name))
  return pids.flatMap(pid => readProcess(pid) ?? [])
}

function readProcess(pid: string): Process | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1')
    const end = stat.lastIndexOf(')')
    const fields = stat.slice(end + 2).split(' ')
    const uptime = Number(fs.readFileSync('/proc/uptime', 'latin1').split(' ')[0])
    const age = uptime - Number(fields[19]) / TICKS
    return {
      pid,
      parent: fields[1] ?? '',
      name: stat.slice(stat.indexOf('(') + 1, end),
      startedAt: Date.now() - age * 1000,
    }
  } catch {
    return undefined
  }
}

/**
 * Without root privileges the link is unreadable: then a process called master is assumed to be
 * one.
 */
function worksIn(pid: string, directory: string): boolean {
  try {
    return fs.readlinkSync(`/proc/${pid}/cwd`) === fs.realpathSync(directory)
  } catch {
    return true
  }
}
