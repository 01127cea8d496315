/**
 * Keeps records that nobody asked about from spoiling an answer: the library decodes all or nothing,
 * so one record it does not understand, in any section, would make the whole message unreadable.
 */

export interface Sifted {
  /** The message; records of other types have a type that the library takes as it is. */
  readonly bytes: Buffer
  /**
   * The upper eight bits of the response code, from the OPT record (RFC 6891, 6.1.3); undefined
   * without such a record, which means that the server does not know EDNS.
   */
  readonly upperRcode: number | undefined
}

const HEADER_BYTES = 12
const SHORTEST_QUESTION_BYTES = 5
const SHORTEST_RECORD_BYTES = 11
/** Bytes of a record after its name: type, class, TTL and the length of its data. */
const FIXED_BYTES = 10
const OPT = 41
/** For private use (RFC 6895, 3.1). */
const UNKNOWN = 0xff00

/**
 * Undefined if it is not a message. The counts are checked first, because the library believes them.
 * @param types whose records are kept.
 */
export function sift(message: Buffer, types: readonly number[]): Sifted | undefined {
  const questions = message.readUInt16BE(4)
  const records = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10)
  const least = questions * SHORTEST_QUESTION_BYTES + records * SHORTEST_RECORD_BYTES
  if (least > message.length - HEADER_BYTES) return undefined
  const bytes = Buffer.from(message)
  let upperRcode: number | undefined
  let at = HEADER_BYTES
  for (let i = 0; i < questions; i++) at = endOfName(bytes, at) + 4
  for (let i = 0; i < records; i++) {
    at = endOfName(bytes, at)
    if (at + FIXED_BYTES > bytes.length) return undefined
    const type = bytes.readUInt16BE(at)
    if (type === OPT) upperRcode = bytes.readUInt8(at + 4)
    if (!types.includes(type)) bytes.writeUInt16BE(UNKNOWN, at)
    at += FIXED_BYTES + bytes.readUInt16BE(at + 8)
  }
  return at <= bytes.length ? { bytes, upperRcode } : undefined
}

/** Where a name ends: at its empty label, or at the pointer to the rest of it (RFC 1035, 4.1.4). */
function endOfName(bytes: Buffer, start: number): number {
  let at = start
  for (;;) {
    const length = bytes[at]
    if (length === undefined || length === 0) return at + 1
    if (length >= 0xc0) return at + 2
    at += length + 1
  }
}
