/**
 * One HTTP POST (RFC 9110). Redirections are not followed, so that data is sent only to the URL in
 * the configuration.
 */

import type { IncomingMessage, RequestOptions } from 'node:http'
import { trustedAuthorities } from '../net/trusted-authorities.ts'
import type { HttpPost } from '../policy/ports/peers.ts'
import { describeError, LookupError, withoutLogin } from '../system/errors.ts'

const MOST_BODY_BYTES = 64 * 1024
const LONGEST_MS = 3000

export const httpPost: HttpPost = async (url, body, contentType, signal) => {
  const target = parseUrl(url)
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)])
  const options: RequestOptions = {
    method: 'POST',
    headers: { 'content-type': contentType, 'content-length': Buffer.byteLength(body) },
    signal: limit,
  }
  try {
    return await post(target, options, body)
  } catch (error) {
    const reason = limit.aborted ? 'no answer in time' : describeError(error)
    // The origin does not include a login that may be in the URL.
    throw new LookupError(`${target.origin}: ${reason}`)
  }
}

async function post(target: URL, options: RequestOptions, body: string) {
  const isSecure = target.protocol === 'https:'
  const { request } = isSecure ? await import('node:https') : await import('node:http')
  const secured = isSecure ? { ...options, secureContext: trustedAuthorities() } : options
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    // Each request has a connection of its own: one that was kept may have been closed meanwhile.
    request(target, { ...secured, agent: false }, resolve)
      .on('error', reject)
      .end(body)
  })
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response) {
    chunks.push(chunk)
    length += chunk.length
    if (length > MOST_BODY_BYTES) throw new Error('the answer is too long')
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }
}

function parseUrl(text: string): URL {
  const url = URL.parse(text)
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new LookupError(`expected an http:// or https:// URL, found "${withoutLogin(text)}"`)
  }
  return url
}
