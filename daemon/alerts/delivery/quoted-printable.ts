/** The body of a mail in lines that every mail server passes on unchanged (RFC 2045, 6.7). */

import { hex } from './encoded-word.ts'

/** RFC 2045, 6.7, rule 5; the `=` of a soft line break included. */
const ENCODED_LINE_CHARACTERS = 76
/** RFC 5322, 2.1.1: for text that is not encoded. */
const PLAIN_LINE_CHARACTERS = 78

export type Encoding = '7bit' | 'quoted-printable'

/** Text as it is, if that is safe; otherwise as quoted-printable. Lines end in LF. */
export function encodedBody(text: string): { readonly encoding: Encoding; readonly body: string } {
  const lines = text.toWellFormed().replaceAll(/\r\n?/g, '\n').replace(/\n*$/, '').split('\n')
  const isSafe = lines.every(
    line =>
      line.length <= PLAIN_LINE_CHARACTERS && /^[ -~]*$/.test(line) && !/^From |^\.| $/.test(line),
  )
  if (isSafe) return { encoding: '7bit', body: `${lines.join('\n')}\n` }
  return { encoding: 'quoted-printable', body: `${lines.map(quoted).join('\n')}\n` }
}

function quoted(line: string): string {
  const bytes = Buffer.from(line)
  const parts: string[] = []
  let part = ''
  for (const [at, byte] of bytes.entries()) {
    const isLast = at === bytes.length - 1
    const encoded =
      isLiteral(byte, isLast) && !isMark(line, at) ? String.fromCharCode(byte) : hex(byte)
    const room = isLast ? ENCODED_LINE_CHARACTERS : ENCODED_LINE_CHARACTERS - 1
    if (part.length + encoded.length > room) {
      parts.push(part)
      part = ''
    }
    part += encoded
  }
  return [...parts, part].join('=\n')
}

/** Spaces at the end of a line are lost on the way. */
function isLiteral(byte: number, isLast: boolean): boolean {
  if (byte === 0x20 || byte === 0x09) return !isLast
  return byte > 0x20 && byte < 0x7f && byte !== 0x3d
}

/** What a mailbox takes for the beginning of a mail, and SMTP for its end. */
function isMark(line: string, at: number): boolean {
  return at === 0 && (line.startsWith('From ') || line.startsWith('.'))
}
