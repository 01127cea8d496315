/**
 * `mtpolicyctl ready [--wait SECONDS]`: does this host's daemon answer where Postfix would ask it?
 *
 * The package asks before it registers with Postfix. It is our daemon only if its control socket
 * answers too: on the port alone it may be anybody. A request is asked as Postfix would, over
 * TCP; CONNECT names no user, so nothing is counted. Exit 0 it does, 1 it does not, with the reason.
 */

import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { askDaemon } from '../control/client.ts'
import { describeError } from '../policy/errors.ts'

export interface ReadyIo {
  readonly err: (text: string) => void
  readonly control: string
  readonly endpoint: { readonly host: string; readonly port: number }
}

const ANSWER_MILLISECONDS = 5000
const PAUSE_MILLISECONDS = 100

export async function readyCommand(argv: readonly string[], io: ReadyIo): Promise<0 | 1 | 64> {
  const seconds = waitOf(argv)
  if (seconds === undefined) {
    io.err('usage: mtpolicyctl ready [--wait SECONDS]\n')
    return 64
  }
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const problem = await problemNow(io)
    if (problem === undefined) return 0
    if (Date.now() >= deadline) {
      io.err(`mtpolicyctl ready: ${problem}\n`)
      return 1
    }
    await sleep(PAUSE_MILLISECONDS)
  }
}

function waitOf(argv: readonly string[]): number | undefined {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { wait: { type: 'string', default: '0' } },
    })
    return /^\d{1,4}$/.test(values.wait) ? Number(values.wait) : undefined
  } catch {
    return undefined
  }
}

/** What is missing, or undefined. */
async function problemNow({ control, endpoint }: ReadyIo): Promise<string | undefined> {
  // An address that means "all" is none that can be asked.
  const host = /^(?:localhost|\*|0\.0\.0\.0)$/.test(endpoint.host) ? '127.0.0.1' : endpoint.host
  const where = `${host}:${endpoint.port}`
  try {
    const answer = await ask(host === '::' ? '::1' : host, endpoint.port)
    if (answer === undefined) return `whoever listens on ${where} does not answer policy requests`
  } catch (error) {
    return `no answer from ${where}: ${describeError(error)}`
  }
  try {
    const reply = await askDaemon(control, 'status', ANSWER_MILLISECONDS)
    if (reply?.ok) return undefined
    return `${where} belongs to another program, the daemon does not run`
  } catch (error) {
    return describeError(error)
  }
}

/** The answer's first line; undefined if it is none of a policy server. */
function ask(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    let text = ''
    const end = (answer: string | undefined): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setEncoding('utf8')
    socket.setTimeout(ANSWER_MILLISECONDS, () => end(undefined))
    socket.once('connect', () =>
      socket.write('request=smtpd_access_policy\nprotocol_state=CONNECT\ninstance=ready\n\n'),
    )
    socket.on('data', (chunk: string) => {
      text += chunk
      if (/^action=.*\n\n$/.test(text)) end(text.trimEnd())
      else if (text.length > 1000) end(undefined)
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(undefined))
  })
}
