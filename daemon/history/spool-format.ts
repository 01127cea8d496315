/**
 * The bytes of the spool, in which the daemon leaves its verdicts for the history.
 *
 * A file begins with its head: the magic, its number (32 bits), the number of the last code that had been
 * given (a float). Then come frames; each is one write(2), of what became of the requests of one turn of the
 * event loop:
 *
 *   length of the rest (32 bits), checksum of the rest (CRC-32), number of the last code (a float), records
 *
 * A record is its kind (a byte), its whole length (32 bits) and its fields. Numbers are little endian; a short
 * text has its length in one byte before it, a long one in two. A verdict's record, ACCEPTED or REFUSED:
 *
 *   account (long), name of the client (short), then the message:
 *     when (a float), recipients (32 bits), bytes (a float), flags (a byte: stage, whether it was `dunno`), and
 *     the short texts instance, queue id, address of the client, country, plugin, code; then, unless it was
 *     `dunno`, the action (long)
 *   REFUSED only: virtual host and why (short), facts, attributes of the request
 *
 * EXPLAINED has a code and the plugins' steps, MISSED what the spool lacks: two floats for the time, how many
 * (32 bits), why (long).
 */

export const MAGIC = Buffer.from('mtpolicyd history spool 1\n\0')
export const NUMBER_AT = MAGIC.length
export const CODE_AT = NUMBER_AT + 4
export const FILE_HEAD = CODE_AT + 8
/** Length and checksum. */
export const FRAME_HEAD = 8
/** Where the records of a frame begin. */
export const RECORDS_AT = FRAME_HEAD + 8
/** Kind and length. */
export const RECORD_HEAD = 5
/** A frame with its head; no write is larger. */
export const LARGEST_FRAME = 256 * 1024

export const ACCEPTED = 1
export const REFUSED = 2
export const EXPLAINED = 3
export const MISSED = 4

/** Where the fixed fields of a message are. */
export const AT = 0
export const RECIPIENTS = 8
export const BYTES = 12
export const FLAGS = 20
export const TEXTS = 21

/** Bits of the flags: the stage, and whether the action was `dunno`. */
export const STAGE_BITS = 3
export const IS_DUNNO = 4
export const STAGES = ['', 'RCPT', 'DATA', 'END-OF-MESSAGE'] as const

/** Kinds of a fact's value. */
export const NUMBER_FACT = 0
export const TEXT_FACT = 1
export const FALSE_FACT = 2
export const TRUE_FACT = 3
