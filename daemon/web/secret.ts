/**
 * Secrets that this program makes: 256 random bits each, so that a plain SHA-256 of them can be kept. There
 * is nothing to guess, and nothing that would have to be slow.
 */

import { createHash, randomBytes } from 'node:crypto'

/** 43 characters of base64url. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url')
}

/** What is kept instead of it. */
export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}

export const isHash = (text: string): boolean => /^[\w-]{43}$/.test(text)
