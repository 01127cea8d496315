/** mtpolicyctl's end of the control socket. */

import { connect } from 'node:net'
import type { ControlCommand, ControlReply } from './protocol.ts'

/** The reply, or undefined if no daemon listens there. Rejects if one listens and does not answer. */
export function askDaemon<T>(
  path: string,
  command: ControlCommand,
  milliseconds = 10_000,
): Promise<ControlReply<T> | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    let text = ''
    socket.setEncoding('utf8')
    socket.setTimeout(milliseconds, () => {
      socket.destroy()
      reject(new Error(`the daemon did not answer within ${milliseconds / 1000} s`))
    })
    socket.once('connect', () => socket.write(`${JSON.stringify({ command })}\n`))
    socket.on('data', (chunk: string) => {
      text += chunk
    })
    socket.once('error', error => {
      const code = 'code' in error ? error.code : ''
      if (code === 'ENOENT' || code === 'ECONNREFUSED') resolve(undefined)
      else if (code === 'EACCES')
        reject(new Error(`only root and the daemon itself may open ${path}`))
      else if (code === 'EPIPE' || code === 'ECONNRESET')
        reject(
          new Error('the daemon lives, but takes no connection: it may have no descriptor left'),
        )
      else reject(error)
    })
    socket.once('end', () => {
      try {
        // Our own daemon of the same package speaks here; `ok` is checked by the caller.
        resolve(JSON.parse(text) as ControlReply<T>)
      } catch {
        reject(new Error('the daemon ended the conversation'))
      }
    })
  })
}
