/**
 * Runs a program on a text: no shell, a time limit, its output bounded. What takes too long is killed with
 * all that it has started.
 */

import { statSync } from 'node:fs'
import { describeError } from '../../system/errors.ts'

/** What is kept of its output, from the beginning. */
const MOST_OUTPUT_BYTES = 4096
/** Output is read for so long after its end. */
const LATE_OUTPUT_MILLISECONDS = 200

export interface ProgramOptions {
  readonly argv: readonly string[]
  readonly input: string
  readonly env: Readonly<Record<string, string>>
  readonly milliseconds: number
  readonly signal?: AbortSignal
}

export interface ProgramEnd {
  /** The exit status; undefined: it could not be started, or was killed. */
  readonly status: number | undefined
  /** Why there is no status. */
  readonly why: string
  /** The beginning of what it has printed to both outputs, on one line. */
  readonly output: string
}

/** For programs that look for others, and print messages. */
export const PLAIN_ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C.UTF-8',
} as const

/** Never rejects. */
export function runOn(program: string, options: ProgramOptions): Promise<ProgramEnd> {
  return started(program, options).catch((error: Error) => {
    // What cannot even be tried is thrown: a path through a file, an environment that is too large.
    return { status: undefined, why: startProblem(program, error), output: '' }
  })
}

function started(program: string, options: ProgramOptions): Promise<ProgramEnd> {
  const { argv, input, env, milliseconds, signal } = options
  // Loaded with the first alert, not at every start.
  const { spawn } = process.getBuiltinModule('node:child_process')
  return new Promise(resolve => {
    const chunks: Buffer[] = []
    let room = MOST_OUTPUT_BYTES
    const ended = (status: number | undefined, why: string): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      child.stdout.destroy()
      child.stderr.destroy()
      resolve({ status, why, output: outputText(Buffer.concat(chunks)) })
    }
    const kill = (reason: string): void => {
      killed ??= reason
      endGroup(child.pid)
    }
    let killed: string | undefined
    // A group of its own, so that it ends as a whole.
    const child = spawn(program, [...argv], { cwd: '/', env, detached: true, stdio: 'pipe' })
    const timer = setTimeout(() => kill(`it took more than ${milliseconds / 1000} s`), milliseconds)
    const onAbort = (): void => kill('it was interrupted')
    const take = (chunk: Buffer): void => {
      const part = chunk.subarray(0, room)
      room -= part.length
      if (part.length > 0) chunks.push(part)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.once('error', error => ended(undefined, startProblem(program, error)))
    child.once('exit', (status, by) => {
      const end = (): void => {
        if (killed !== undefined) ended(undefined, killed)
        else ended(status ?? undefined, status === null ? `it was ended by ${by}` : '')
      }
      child.once('close', end)
      // What it has left in the background may keep its output open for ever.
      setTimeout(end, LATE_OUTPUT_MILLISECONDS).unref()
    })
    // A program need not read what it is given.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted) onAbort()
  })
}

/** What the system says of a script does not tell the file from the program that its first line names. */
function startProblem(program: string, error: Error): string {
  const code = 'code' in error ? error.code : ''
  if (code !== 'ENOENT' && code !== 'EACCES') return describeError(error)
  try {
    if (!statSync(program).isFile()) return `it is not a file (${code})`
  } catch (reason) {
    return /\bENOENT\b/.test(describeError(reason))
      ? `there is no such program (${code})`
      : describeError(reason)
  }
  return code === 'EACCES'
    ? `the user of the daemon may not run it (${code}); chmod 755 makes it a program for everybody`
    : `its first line names a program that is not there, or ends in CR LF (${code})`
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has just ended by itself.
  }
}

function outputText(bytes: Buffer): string {
  return bytes
    .toString('utf8')
    .replaceAll(/\p{Cc}+/gu, ' ')
    .trim()
}
