/**
 * The daemon's end of the control sockets. A client that sends nonsense is told so, one that is silent or
 * does not read is disconnected, and nothing else happens.
 */

import { mkdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { type CommandName, type Control, commands, isCommand, type Level } from './control.ts'
import {
  type ControlReply,
  type ControlRequest,
  MOST_REQUEST_LENGTH,
  readSocketBeside,
  type StreamFrame,
  UNKNOWN_COMMAND,
} from './protocol.ts'

export interface ControlServer {
  /** Accepts nobody any more and ends all streams. */
  close(): void
}

/** For the request to arrive, and for an answer to be read. */
const SILENCE_MILLISECONDS = 10_000
const MOST_CONNECTIONS = 64

/** The level of each socket, and the bits that its mode lacks. */
const SOCKETS: readonly { level: Level; pathOf: (control: string) => string; umask: number }[] = [
  { level: 'change', pathOf: control => control, umask: 0o177 },
  { level: 'read', pathOf: readSocketBeside, umask: 0o117 },
]

/** Rejects if a socket cannot be made, or is another daemon's. One that was left behind is replaced. */
export async function serveControl(path: string, control: Control): Promise<ControlServer> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
  if (await isServed(path)) throw new Error(`another daemon answers at ${path}`)
  const servers: Server[] = []
  const open = new Set<Socket>()
  const close = (): void => {
    for (const server of servers) server.close()
    for (const socket of open) socket.destroySoon()
  }
  try {
    for (const { level, pathOf, umask } of SOCKETS) {
      rmSync(pathOf(path), { force: true })
      const server = createServer(socket => {
        open.add(socket)
        socket.once('close', () => open.delete(socket))
        serve(socket, level, control)
      })
      server.maxConnections = MOST_CONNECTIONS
      await listen(server, pathOf(path), umask)
      servers.push(server)
    }
  } catch (error) {
    close()
    throw error
  }
  return { close }
}

function listen(server: Server, path: string, umask: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // Also an error that comes later: without a listener it would end the daemon.
    server.on('error', reject)
    // The socket is created within this call: there is no moment in which others could open it.
    const before = process.umask(umask)
    try {
      server.listen(path, () => resolve())
    } finally {
      process.umask(before)
    }
  })
}

function isServed(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
}

/** Reads one request and answers it. */
function serve(socket: Socket, level: Level, control: Control): void {
  let text = ''
  socket.setEncoding('utf8')
  socket.setTimeout(SILENCE_MILLISECONDS, () => socket.destroy())
  socket.on('error', () => socket.destroy())
  const read = (chunk: string): void => {
    text += chunk
    if (text.length > MOST_REQUEST_LENGTH) {
      socket.destroy()
      return
    }
    const end = text.indexOf('\n')
    if (end < 0) return
    socket.off('data', read)
    // Anything that follows is ignored, but its end has to be noticed.
    socket.resume()
    void reply(socket, text.slice(0, end), level, control)
  }
  socket.on('data', read)
}

async function reply(socket: Socket, line: string, level: Level, control: Control): Promise<void> {
  // A reload takes as long as it takes; the client knows how long it wants to wait.
  socket.setTimeout(0)
  const last = await run(socket, line, level, control).catch((error: unknown): ControlReply => {
    return { ok: false, message: error instanceof Error ? error.message : String(error) }
  })
  socket.setTimeout(SILENCE_MILLISECONDS)
  if (last === undefined) socket.end()
  else socket.end(frame(last))
}

/** Resolves to the last frame, if one is due. */
async function run(
  socket: Socket,
  line: string,
  level: Level,
  control: Control,
): Promise<ControlReply | undefined> {
  const { command: name, arguments: given } = parseRequest(line)
  if (!isCommand(name)) throw new Error(`${UNKNOWN_COMMAND} "${name}"`)
  const command = commands[name]
  if (command.level === 'change' && level === 'read') {
    throw new Error(`"${name}" is for root only: this socket is read-only`)
  }
  const controller = new AbortController()
  socket.once('close', () => controller.abort())
  const result = callByName(control, name, command.readArguments(given), controller.signal)
  if (command.kind === 'answer') return { ok: true, result: await result }
  socket.write(frame({ ok: true, result: undefined }))
  await pass(result as AsyncIterable<unknown>, socket)
  return undefined
}

/** The table gives each method the reader of its own arguments, and says which return a stream. */
function callByName(control: Control, name: CommandName, given: unknown, signal: AbortSignal) {
  // TypeScript does not follow that through a name that is known at run time only.
  const method = control[name] as (given: unknown, signal: AbortSignal) => unknown
  return method.call(control, given, signal)
}

/** Waits for the reader; the source does not (Broadcast). */
async function pass(items: AsyncIterable<unknown>, socket: Socket): Promise<void> {
  for await (const item of items) {
    // Nobody reads the rest, so nobody needs to look for it.
    if (socket.destroyed) return
    if (socket.write(frame({ item }))) continue
    // A reader that takes nothing keeps its place from others.
    socket.setTimeout(SILENCE_MILLISECONDS)
    await new Promise<void>(resolve => {
      const end = (): void => {
        socket.off('drain', end).off('close', end)
        resolve()
      }
      socket.on('drain', end).on('close', end)
      if (socket.closed) end()
    })
    socket.setTimeout(0)
  }
}

function parseRequest(line: string): ControlRequest {
  const request: unknown = JSON.parse(line)
  if (typeof request !== 'object' || request === null) return { command: '' }
  return {
    command: 'command' in request ? String(request.command) : '',
    arguments: 'arguments' in request ? request.arguments : undefined,
  }
}

function frame(content: ControlReply | StreamFrame): string {
  return `${JSON.stringify(content)}\n`
}
