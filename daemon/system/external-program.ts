/**
 * Running other programs: an argument array, never a shell; what comes back and how long it takes is
 * bounded by the caller.
 */

export interface Finished {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export interface Limits {
  /** latin1 keeps bytes apart that are not UTF-8. */
  readonly encoding: 'utf8' | 'latin1'
  /** After that the program is ended; undefined: it takes as long as it takes. */
  readonly milliseconds: number | undefined
  /** Output beyond this is a failure. */
  readonly mostBytes: number
  /** Instead of this process's own. */
  readonly env?: NodeJS.ProcessEnv
}

/** What kept a program from ending with a status: it is not there, took too long, wrote too much. */
export interface Unfinished {
  readonly failure: NodeJS.ErrnoException
  readonly stdout: string
  readonly stderr: string
}

export function execute(
  program: string,
  argv: readonly string[],
  { encoding, milliseconds, mostBytes, env }: Limits,
): Promise<Finished | Unfinished> {
  // Most starts run no program.
  const { execFile } = process.getBuiltinModule('node:child_process')
  const options = { encoding, timeout: milliseconds ?? 0, maxBuffer: mostBytes, env } as const
  return new Promise(resolve => {
    execFile(program, [...argv], options, (error, stdout, stderr) => {
      if (error === null) resolve({ status: 0, stdout, stderr })
      else if (typeof error.code === 'number') resolve({ status: error.code, stdout, stderr })
      else resolve({ failure: error as NodeJS.ErrnoException, stdout, stderr })
    })
  })
}

export type Run = (argv: readonly string[]) => Promise<Finished>

/** As a shell says it of a program that is not there. */
export const NOT_FOUND = 127

/** For Postfix's programs and systemd's: never rejects, a failure is a status like any other. */
export const runProgram: Run = async ([program = '', ...argv]) => {
  const result = await execute(program, argv, {
    // Names and values of main.cf are bytes.
    encoding: 'latin1',
    milliseconds: 60_000,
    mostBytes: 16 << 20,
    // Postfix lives in /usr/sbin, which `su` without `-` leaves out of PATH.
    env: { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' },
  })
  if ('status' in result) return result
  const { failure, stdout, stderr } = result
  if (failure.code === 'ENOENT') return { status: NOT_FOUND, stdout, stderr }
  return { status: 1, stdout, stderr: `${stderr}${failure.message}\n` }
}
