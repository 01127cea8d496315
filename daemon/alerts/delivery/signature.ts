/**
 * By which a receiver knows that a message is ours, and new: `X-Mtpolicyd-Signature: t=1764575000,v1=HEX`.
 *
 * HEX is the HMAC-SHA-256 of `t.BODY` with the secret; t is the time of sending, seconds since 1970. After a
 * change of the secret there is one v1 for each of the two, so that a receiver can change at any time.
 */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

export const SIGNATURE_HEADER = 'X-Mtpolicyd-Signature'
export const SECRET_FILE = 'webhook.secret'
/** Sent as `Authorization: Bearer`, for receivers that want one, such as Matrix and ntfy. */
export const TOKEN_FILE = 'webhook.token'

/** The secret that is in use, and the former one. */
export const MOST_SECRETS = 2
/** More than anybody types; a file that is longer is something else. */
const LONGEST_SECRET = 1024

export function signature(secrets: readonly string[], body: string, seconds: number): string {
  const { createHmac } = process.getBuiltinModule('node:crypto')
  const signed = `${seconds}.${body}`
  const all = secrets.map(
    secret => `v1=${createHmac('sha256', secret).update(signed).digest('hex')}`,
  )
  return [`t=${seconds}`, ...all].join(',')
}

/** Those in a file, one on each line. An empty list: there is no such file. Throws if it cannot be read. */
export async function secretsIn(etc: string, name: string): Promise<string[]> {
  try {
    return secretsOf(await readFile(join(etc, name), 'utf8'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

export function secretsOf(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && line.length <= LONGEST_SECRET)
    .slice(0, MOST_SECRETS)
}
