/** The daemon's end of the control socket. A client that says nothing sensible is told so, and nothing else happens. */

import { mkdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { dirname } from 'node:path'
import { type ControlCommand, type ControlReply, MOST_COMMAND_BYTES } from './protocol.ts'

export type ControlHandlers = Readonly<Record<ControlCommand, () => unknown | Promise<unknown>>>

const SILENCE_MILLISECONDS = 10_000

/** Rejects if the socket cannot be made, or is another daemon's. One that is left over is replaced. */
export async function serveControl(path: string, handlers: ControlHandlers): Promise<Server> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
  if (await isServed(path)) throw new Error(`another daemon answers at ${path}`)
  rmSync(path, { force: true })
  const server = createServer(socket => {
    let text = ''
    socket.setEncoding('utf8')
    socket.setTimeout(SILENCE_MILLISECONDS, () => socket.destroy())
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.length > MOST_COMMAND_BYTES) socket.destroy()
      const end = text.indexOf('\n')
      if (end < 0) return
      const line = text.slice(0, end)
      text = ''
      void reply(line, handlers).then(answer => socket.end(`${JSON.stringify(answer)}\n`))
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    // It is made within this call: there is no moment in which others could open it.
    const before = process.umask(0o117)
    try {
      server.listen(path, () => resolve())
    } finally {
      process.umask(before)
    }
  })
  return server
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

async function reply(line: string, handlers: ControlHandlers): Promise<ControlReply> {
  try {
    const request: unknown = JSON.parse(line)
    const command =
      typeof request === 'object' && request !== null && 'command' in request
        ? String(request.command)
        : ''
    if (command !== 'status' && command !== 'reload') {
      return { ok: false, message: `unknown command "${command}"` }
    }
    return { ok: true, result: await handlers[command]() }
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) }
  }
}
