/**
 * policyd-client - query a policy server, as the original's small test client does.
 *
 * Attribute lines come from standard input, an empty line sends them; the action of the reply goes
 * to standard output. `request` and `instance` are added if they are missing. Exit status: 0 if
 * every request was answered, 1 if one was not, 64 for a wrong command line.
 */

import { randomUUID } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { nearestName } from '../policy/problem.ts'
import { describeError } from '../system/errors.ts'
import { USAGE_ERROR } from './command.ts'
import { clientOptions } from './options.ts'
import { optionList } from './usage.ts'

const USAGE = `Usage: policyd-client [-h HOST:PORT | -s SOCKET] [-k] [-v]

Queries a policy server. Reads attributes (name=value) from standard input; an
empty line sends them. Prints the action of each reply.

${optionList(clientOptions)}
Example:  printf 'sasl_username=alice\\nclient_address=192.0.2.1\\n\\n' |
            policyd-client
`

function fail(message: string): never {
  process.stderr.write(`policyd-client: ${message}\n`)
  process.exit(USAGE_ERROR)
}

function readOptions() {
  try {
    return parseArgs({ options: clientOptions }).values
  } catch (error) {
    const message = describeError(error)
    const unknown = /^Unknown option '(-+([\w-]+))/.exec(message)
    // What Node adds about positional arguments helps nobody here.
    if (unknown === null) return fail(`${message.replace(/\. To specify .*$/s, '')}; see --help`)
    const near = nearestName(unknown[2] ?? '', Object.keys(clientOptions))
    const suggestion = near === undefined ? 'see --help' : `did you mean --${near}?`
    return fail(`unknown option ${unknown[1]}; ${suggestion}`)
  }
}

const options = readOptions()
if (options.help || options.usage) {
  process.stdout.write(USAGE)
  process.exit(0)
}

process.stdout.on('error', () => process.exit(1))

function open(): Socket {
  if (options.socket_path !== undefined) return connect(options.socket_path)
  const at = /^\[?(.+?)\]?:(\d+)$/.exec(options.host)
  if (!at) return fail(`expected HOST:PORT, found "${options.host}"`)
  return connect({ host: at[1] ?? '', port: Number(at[2]) })
}

/** The lines of the reply without the empty one. Rejects if there is none. */
function ask(socket: Socket, lines: readonly string[]): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    let text = ''
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('utf8')
      if (!text.endsWith('\n\n')) return
      socket.off('data', onData)
      resolve(text.trimEnd().split('\n'))
    }
    socket.on('data', onData)
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('the server closed the connection')))
    socket.write(`${lines.join('\n')}\n\n`)
  })
}

let attributes: string[] = []
let socket: Socket | undefined
let status = 0

async function send(): Promise<void> {
  if (attributes.length === 0) return
  const has = (name: string): boolean => attributes.some(line => line.startsWith(`${name}=`))
  if (!has('request')) attributes.unshift('request=smtpd_access_policy')
  if (!has('instance')) attributes.push(`instance=${randomUUID()}`)
  if (options.verbose) for (const line of attributes) process.stderr.write(`>> ${line}\n`)
  socket ??= open()
  try {
    const answer = await ask(socket, attributes)
    if (options.verbose) for (const line of answer) process.stderr.write(`<< ${line}\n`)
    for (const line of answer) {
      if (line.startsWith('action=')) process.stdout.write(`${line.slice('action='.length)}\n`)
    }
  } catch (error) {
    process.stderr.write(`policyd-client: ${error instanceof Error ? error.message : error}\n`)
    status = 1
    socket = undefined
  }
  attributes = []
  if (!options.keepalive) {
    socket?.destroy()
    socket = undefined
  }
}

async function converse(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === '') await send()
    else attributes.push(line)
  }
  await send()
  socket?.destroy()
  process.exitCode = status
}

void converse()
