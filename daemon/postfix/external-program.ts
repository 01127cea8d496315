/**
 * Running Postfix's programs: an argument array, never a shell.
 *
 * A program that is not there is a result like any other: status 127, as a shell would say.
 */

import { execFile } from 'node:child_process'

export interface Finished {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export type Run = (argv: readonly string[]) => Promise<Finished>

export const NOT_FOUND = 127

export const runProgram: Run = ([program = '', ...rest]) =>
  new Promise(resolve => {
    // Postfix lives in /usr/sbin, which `su` without `-` leaves out of PATH.
    const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' }
    // Names and values of main.cf are bytes; latin1 keeps them apart.
    const options = { env, timeout: 60_000, encoding: 'latin1', maxBuffer: 16 << 20 } as const
    execFile(program, rest, options, (error, stdout, stderr) => {
      if (!error) resolve({ status: 0, stdout, stderr })
      else if (typeof error.code === 'number') resolve({ status: error.code, stdout, stderr })
      else if (error.code === 'ENOENT') resolve({ status: NOT_FOUND, stdout, stderr })
      else resolve({ status: 1, stdout, stderr: `${stderr}${error.message}\n` })
    })
  })
