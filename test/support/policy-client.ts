/**
 * A client of the policy delegation protocol for tests, as naughty as a test wants it to be.
 */

import { connect, type Socket } from 'node:net'

export interface PolicyClient {
  readonly socket: Socket
  send(bytes: string | Uint8Array): void
  /** The next answer, without its empty line. Rejects if the connection ends before. */
  answer(): Promise<string>
  /** Ends when the server has closed the connection, or half of it. */
  readonly ended: Promise<void>
  close(): void
}

export async function policyClient(
  to: { readonly port: number; readonly host?: string } | { readonly path: string },
): Promise<PolicyClient> {
  // Not localhost: which address that is differs from host to host.
  const socket = connect({ host: '127.0.0.1', ...to, allowHalfOpen: true })
  let received = ''
  let hasEnded = false
  const waiting: (() => void)[] = []
  const wake = (): void => {
    for (const awake of waiting.splice(0)) awake()
  }
  socket.setEncoding('utf8')
  socket.on('data', text => {
    received += text
    wake()
  })
  const ended = new Promise<void>(resolve => {
    const end = (): void => {
      hasEnded = true
      wake()
      resolve()
    }
    socket.on('end', end)
    socket.on('close', end)
    socket.on('error', end)
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve())
    socket.once('error', reject)
  })
  return {
    socket,
    send: bytes => void socket.write(bytes),
    async answer() {
      for (;;) {
        const end = received.indexOf('\n\n')
        if (end >= 0) {
          const answer = received.slice(0, end)
          received = received.slice(end + 2)
          return answer
        }
        if (hasEnded) throw new Error(`the connection ended after "${received}"`)
        await new Promise<void>(resolve => waiting.push(resolve))
      }
    },
    ended,
    close: () => socket.destroy(),
  }
}

/** A request as Postfix writes it. */
export function requestText(attributes: Readonly<Record<string, string | number>>): string {
  const lines = Object.entries(attributes).map(([name, value]) => `${name}=${value}\n`)
  return `${lines.join('')}\n`
}

/** Ends once the condition holds. The test's own timeout is the limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 5))
}
