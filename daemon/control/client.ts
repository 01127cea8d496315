/** mtpolicyctl's end of the control socket. */

import { connect, type Socket } from 'node:net'
import {
  type AnswerName,
  type ArgumentsOf,
  commands,
  type ItemOf,
  type Level,
  type ResultOf,
  type StreamName,
} from './control.ts'
import {
  type ControlRefusal,
  type ControlReply,
  MOST_FRAME_LENGTH,
  readSocketBeside,
  type StreamFrame,
  UNKNOWN_COMMAND,
} from './protocol.ts'

const ANSWER_MILLISECONDS = 10_000

/** The reply, or undefined if no daemon listens there. Rejects if one listens and does not answer. */
export async function callDaemon<Name extends AnswerName>(
  path: string,
  command: Name,
  given: ArgumentsOf<Name>,
  milliseconds = ANSWER_MILLISECONDS,
): Promise<ControlReply<ResultOf<Name>> | undefined> {
  const socket = await open(path, commands[command].level, milliseconds)
  if (socket === undefined) return undefined
  socket.write(request(command, given))
  for await (const line of framesOf(socket)) return parse<ControlReply<ResultOf<Name>>>(line)
  throw new Error('the daemon closed the connection without an answer')
}

/** `openStream`, opened when the first item is asked for. */
export async function* followDaemon<Name extends StreamName>(
  path: string,
  command: Name,
  given: ArgumentsOf<Name>,
  signal: AbortSignal,
): AsyncGenerator<ItemOf<Name>, void> {
  yield* await openStream(path, command, given, signal)
}

/**
 * Resolves when the daemon has accepted the command, so that no item is missed: to the items, until the signal
 * is aborted. Rejects if there is no daemon or if it refuses; the items throw at their end, for a stream
 * has none of its own.
 */
export async function openStream<Name extends StreamName>(
  path: string,
  command: Name,
  given: ArgumentsOf<Name>,
  signal: AbortSignal,
): Promise<AsyncGenerator<ItemOf<Name>, void>> {
  const opened = await open(path, commands[command].level, ANSWER_MILLISECONDS)
  if (opened === undefined) throw new Error(`no daemon listens at ${path}`)
  const socket = opened
  const stop = (): void => void socket.destroy()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  const frames = framesOf(socket)
  async function* items(): AsyncGenerator<ItemOf<Name>, void> {
    try {
      for await (const line of frames) {
        const frame = parse<ControlReply | StreamFrame<ItemOf<Name>>>(line)
        if ('item' in frame) yield frame.item
        else if (!frame.ok) throw new Error(frame.message)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      signal.removeEventListener('abort', stop)
      socket.destroy()
    }
    if (!signal.aborted) throw new Error('the daemon closed the connection')
  }
  try {
    socket.write(request(command, given))
    const { value: line } = await frames.next()
    if (line === undefined) throw new Error('the daemon closed the connection without an answer')
    socket.setTimeout(0)
    const reply = parse<ControlReply>(line)
    if (!reply.ok) throw new Error(reply.message)
    return items()
  } catch (error) {
    signal.removeEventListener('abort', stop)
    socket.destroy()
    if (!signal.aborted) throw error
    return items()
  }
}

/**
 * A connection, or undefined if no daemon listens. A user who may not open the control socket can
 * still use the read-only one, for commands that change nothing.
 */
async function open(path: string, level: Level, milliseconds: number): Promise<Socket | undefined> {
  const paths = level === 'read' ? [path, readSocketBeside(path)] : [path]
  for (const one of paths) {
    try {
      return await connected(one, milliseconds)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : ''
      if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined
      if (code !== 'EACCES') throw error
    }
  }
  throw new Error(`only root and the daemon itself may open ${path}`)
}

function connected(path: string, milliseconds: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.setEncoding('utf8')
    socket.setTimeout(milliseconds, () => {
      socket.destroy(new Error(`the daemon did not answer within ${milliseconds / 1000} s`))
    })
    socket.once('error', reject)
    socket.once('connect', () => resolve(socket))
  })
}

function request(command: string, given: object): string {
  const some = Object.keys(given).length === 0 ? {} : { arguments: given }
  return `${JSON.stringify({ command, ...some })}\n`
}

/** Whole lines, as they arrive. */
async function* framesOf(socket: Socket): AsyncGenerator<string, void> {
  let text = ''
  try {
    // With an encoding, what a socket reads are texts.
    for await (const chunk of socket as AsyncIterable<string>) {
      text += chunk
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        yield text.slice(0, end)
        text = text.slice(end + 1)
      }
      if (text.length > MOST_FRAME_LENGTH)
        throw new Error('the daemon sent a line that does not end')
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    if (code !== 'EPIPE' && code !== 'ECONNRESET') throw error
    throw new Error(
      'the daemon is running but accepts no connections; it may be out of descriptors',
      {
        cause: error,
      },
    )
  }
}

/** A daemon of this package speaks here; what it does not know it refuses. */
function parse<T extends object>(line: string): T | ControlRefusal {
  let frame: T | ControlRefusal
  try {
    frame = JSON.parse(line) as T | ControlRefusal
  } catch {
    throw new Error('the daemon did not answer in the form of this version')
  }
  if (!('ok' in frame) || frame.ok !== false || !isUnknown(frame)) return frame
  const hint = 'restart it: systemctl restart univention-mtpolicyd'
  return { ok: false, message: `the running daemon is older than this program; ${hint}` }
}

const isUnknown = (frame: object): boolean =>
  'message' in frame && String(frame.message).startsWith(UNKNOWN_COMMAND)
