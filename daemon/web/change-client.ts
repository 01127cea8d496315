/**
 * Has root set variables: through the socket of univention-mtpolicyd-change, one connection for a request; where
 * systemd has none, such as below another root, by the program itself, with this process's rights.
 */

import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Paths } from '../assembly/paths.ts'
import type { Changes, SetAnswer } from './api.ts'
import { WebError } from './reply.ts'
import { Turns } from './turns.ts'

/** The daemon may be restarted meanwhile, and Postfix be told. */
const ANSWER_MILLISECONDS = 60_000
const MOST_ANSWER_LENGTH = 1024 * 1024
/** Changes that wait for the one being made: each is a process, which locks the registry. */
const MOST_WAITING = 20

const turns = new Turns({ atOnce: 1, waiting: MOST_WAITING })

export type ChangeRequest =
  | { readonly command: 'set'; readonly changes: Changes; readonly by: string }
  | { readonly command: 'undo'; readonly id: string; readonly by: string }

/** Throws a WebError. */
export async function askChange(paths: Paths, request: ChangeRequest): Promise<SetAnswer> {
  const text = `${JSON.stringify(request)}\n`
  const line = await turns.run(
    async () => (await throughSocket(paths.change, text)) ?? (await byProgram(paths.root, text)),
  )
  const answer = readAnswer(line)
  if (answer.ok) return { change: answer.change, notices: answer.notices }
  throw new WebError(answer.status, answer.error)
}

type Answer =
  | ({ readonly ok: true } & SetAnswer)
  | { readonly ok: false; readonly status: number; readonly error: string }

/** `mtpolicyctl serve-change` of this version answers. */
function readAnswer(line: string): Answer {
  try {
    const answer: Answer = JSON.parse(line)
    if (typeof answer.ok === 'boolean') return answer
  } catch {
    // It ended before it could answer.
  }
  throw new WebError(
    500,
    'the variables could not be set; see the log of univention-mtpolicyd-change',
  )
}

/** Undefined: nothing listens there. */
function throughSocket(path: string, request: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true })
    let text = ''
    socket.setEncoding('utf8')
    socket.setTimeout(ANSWER_MILLISECONDS, () => socket.destroy(new Error('no answer')))
    socket.once('connect', () => socket.end(request))
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.length > MOST_ANSWER_LENGTH) socket.destroy(new Error('the answer is too long'))
    })
    socket.once('end', () => {
      socket.destroy()
      resolve(text)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined)
      else reject(new WebError(503, `the variables cannot be set: ${error.message}`))
    })
  })
}

/** Beside the bundle, or from the sources. */
const bundled = join(import.meta.dirname, 'mtpolicyctl')
const program = existsSync(bundled)
  ? [bundled]
  : [process.execPath, join(import.meta.dirname, '../cli/main.ts')]

function byProgram(root: string, request: string): Promise<string> {
  const { execFile } = process.getBuiltinModule('node:child_process')
  const [file = '', ...argv] = program
  const options = { timeout: ANSWER_MILLISECONDS, maxBuffer: MOST_ANSWER_LENGTH }
  return new Promise(resolve => {
    const child = execFile(
      file,
      [...argv, '--root', root, 'serve-change'],
      options,
      // Whatever went wrong, there is no line then.
      (_, stdout) => resolve(stdout),
    )
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(request)
  })
}
