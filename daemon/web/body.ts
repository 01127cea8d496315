/** What a POST brings: JSON of a bounded size. The time is bounded by the server (server.ts). */

import type { IncomingMessage } from 'node:http'
import { WebError } from './reply.ts'

/** As much as a command to the daemon may have. */
export const MOST_BODY_BYTES = 64 * 1024

const TYPE = /^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i

/** Throws a WebError. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  if (!TYPE.test(request.headers['content-type'] ?? '')) {
    throw new WebError(415, 'expected Content-Type: application/json')
  }
  if (request.headers['content-encoding'] !== undefined) {
    throw new WebError(415, 'a compressed body is not read')
  }
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced > MOST_BODY_BYTES) throw tooLarge()
  const parts: Buffer[] = []
  let bytes = 0
  try {
    // Without an encoding, what a request reads are buffers.
    for await (const part of request as AsyncIterable<Buffer>) {
      bytes += part.length
      if (bytes > MOST_BODY_BYTES) throw tooLarge()
      parts.push(part)
    }
  } catch (error) {
    if (error instanceof WebError) throw error
    throw new WebError(400, 'the request has not arrived as a whole')
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts)))
  } catch {
    throw new WebError(400, 'the body is not JSON')
  }
}

function tooLarge(): WebError {
  return new WebError(413, `a body has at most ${MOST_BODY_BYTES / 1024} KiB`)
}
