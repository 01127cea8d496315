/** What `mtpolicyctl doctor --json` finds in Postfix's configuration; of the daemon nothing. */

import path from 'node:path'
import type { findingJson } from '../../daemon/cli/finding-text.ts'
import { readListener } from '../../daemon/postfix/smtpd/endpoint.ts'
import { runProgram } from '../../daemon/system/external-program.ts'
import { runCommand } from './command.ts'

export interface Diagnosis {
  /** The primary instance's first. */
  readonly directories: readonly string[]
  /** Where the daemon listens. */
  readonly endpoints: readonly string[]
  readonly port: number
  readonly state: string
}

export type ShownFinding = ReturnType<typeof findingJson>

/** Of the daemon, and of others' Postfixes on this machine. */
const ELSEWHERE = ['daemon-down', 'port-taken', 'unknown-instance']

/** The answers of Postfix's programs do not change here. */
const answers = new Map<string, ReturnType<typeof runProgram>>()

export function remembered(argv: readonly string[]): ReturnType<typeof runProgram> {
  const key = argv.join(' ')
  const answer = answers.get(key) ?? runProgram(argv)
  answers.set(key, answer)
  return answer
}

export async function doctorOutput(
  { directories, endpoints, state, port }: Diagnosis,
  locale?: string,
): Promise<{ status: number; out: string }> {
  const env = locale === undefined ? {} : { LC_ALL: locale }
  let out = ''
  const listeners = endpoints.flatMap(
    text => readListener(text.startsWith('/') ? `${text}|unix` : text) ?? [],
  )
  const status = await runCommand(['doctor', ...(locale === undefined ? ['--json'] : [])], {
    root: path.join(state, 'root'),
    out: text => {
      out += text
    },
    err: text => {
      throw new Error(text)
    },
    env,
    postfix: () => ({
      run: command => {
        const key = command.join(' ')
        // The primary is the one compiled into Postfix.
        const isQuestion = key === 'postconf -dh config_directory'
        if (isQuestion)
          return Promise.resolve({ status: 0, stdout: directories[0] ?? '', stderr: '' })
        const answer = answers.get(key) ?? runProgram(command)
        answers.set(key, answer)
        return answer
      },
      endpoint: { host: 'localhost', port },
      listeners,
      stateFile: path.join(state, 'postfix.json'),
    }),
  })
  return { status, out }
}

export async function diagnose(what: Diagnosis): Promise<ShownFinding[]> {
  const { out } = await doctorOutput(what)
  const { findings } = JSON.parse(out) as { findings: ShownFinding[] }
  return findings.filter(({ id }) => !ELSEWHERE.includes(id))
}
