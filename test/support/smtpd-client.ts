/**
 * A policy client as Postfix's smtpd has it, attr_clnt(3): it keeps its connection, and when that is
 * lost, or refused, or silent for 5 s, it tries once more after a second.
 *
 * scripts/test-systemd.sh copies this file beside restart-load.ts: it imports Node's modules only.
 */

import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Postfix's, in our item. */
const TIMEOUT_MILLISECONDS = 5000
const RETRY_MILLISECONDS = 1000

export interface Reply {
  /** With its empty line; undefined if the second try failed as well. */
  readonly answer: string | undefined
  readonly tries: 1 | 2
  /** The second try, and the second before it, included. */
  readonly milliseconds: number
}

export interface SmtpdClient {
  ask(text: string): Promise<Reply>
  /** The next request opens a connection of its own. */
  hangUp(): void
}

/** `failed` hears why a try failed; an answer that `isAnswer` does not take is such a failure. */
export function smtpdClient(
  port: number,
  failed: (reason: string) => void = () => undefined,
  isAnswer: (answer: string) => boolean = () => true,
): SmtpdClient {
  let kept: Socket | undefined

  function hangUp(): void {
    kept?.destroy()
    kept = undefined
  }

  async function tryOnce(text: string): Promise<string | undefined> {
    try {
      kept ??= await open(port)
      const answer = await converse(kept, text)
      if (!isAnswer(answer)) throw new Error(answer)
      return answer
    } catch (error) {
      hangUp()
      failed(error instanceof Error ? error.message : String(error))
      return undefined
    }
  }

  return {
    async ask(text) {
      const began = performance.now()
      let tries: 1 | 2 = 1
      let answer = await tryOnce(text)
      if (answer === undefined) {
        tries = 2
        await sleep(RETRY_MILLISECONDS)
        answer = await tryOnce(text)
      }
      return { answer, tries, milliseconds: performance.now() - began }
    },
    hangUp,
  }
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.setNoDelay(true)
    socket.setTimeout(TIMEOUT_MILLISECONDS, () => socket.destroy(new Error('timeout')))
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
    socket.on('error', () => undefined)
  })
}

function converse(socket: Socket, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const done = (error?: Error): void => {
      socket.off('data', read)
      socket.off('close', closed)
      if (error) reject(error)
      else resolve(answer)
    }
    const read = (chunk: Buffer): void => {
      answer += chunk.toString()
      if (answer.endsWith('\n\n')) done()
    }
    const closed = (): void => done(new Error('closed without an answer'))
    socket.on('data', read)
    socket.once('close', closed)
    if (socket.destroyed || socket.readableEnded) closed()
    else socket.write(text)
  })
}
