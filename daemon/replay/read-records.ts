/**
 * Files to requests of the past, in portions. Each file may be a trace or Postfix's log; which one is told by its
 * first lines. What cannot be read is reported and skipped.
 */

import { lineParser, type ParseLine } from '../maillog/parser.ts'
import { describeError } from '../system/errors.ts'
import { excerpt } from '../text/excerpt.ts'
import { type LineBlock, lineBlocks } from './byte-lines.ts'
import { readBytes } from './log-source.ts'
import { type LeftOut, MailLogReader } from './mail-log.ts'
import type { Recorded, RecordPlace } from './record.ts'
import type { LogFile } from './rotation.ts'
import { readTraceLine } from './trace.ts'
import { TraceReader } from './trace-reader.ts'

/** Lines by which a file is recognized. */
const MOST_TRIED = 1000
const LINE_FEED = 0x0a
/** How its usual name begins in a line. */
const POSTFIX = 'postfix/'
const EXPECTED = 'Nov 30 20:41:02 mail postfix/qmgr[12]: ...'
/** Characters of a line that are shown. */
const LONGEST_EXAMPLE = 50
const ESCAPE = 0x1b
const COLOUR = new RegExp(`${String.fromCharCode(ESCAPE)}(?:\\[[\\d;?]*[A-Za-z]|\\(B)`, 'g')

export interface ReadOptions {
  readonly files: readonly LogFile[]
  /** A line was skipped. */
  readonly damaged: (place: RecordPlace, why: string) => void
  /** A file turned out to be of a known form, even if no request is in it. */
  readonly recognized: (file: string) => void
  /** A file could not be read, or not to its end, or is neither a trace nor a log. */
  readonly unreadable: (file: string, why: string) => void
  /** All logs were read: what of it is not among the requests. */
  readonly leftOut?: (some: LeftOut) => void
  /** How many bytes more of the files were read, before they are decompressed. */
  readonly noteRead?: (bytes: number) => void
}

/** Reads the records in lines. */
type ReadBlock = (block: LineBlock) => Recorded[]

interface Reader {
  readonly read: ReadBlock
  /** Are there lines of its form, whether they matter or not? */
  readonly recognizes: (block: LineBlock) => boolean
}

export async function* readRecords(options: ReadOptions): AsyncGenerator<readonly Recorded[]> {
  const log = new MailLogReader()
  let logs = 0
  const begin: BeginLog = (parse, skip) => {
    log.begin(parse, skip)
    logs++
    return log
  }
  for (const file of options.files) yield* readFile(file, options, begin)
  if (logs > 0) options.leftOut?.(log.leftOut)
}

/** The next file is a log. */
type BeginLog = (
  parse: ParseLine,
  skip: (line: number, why: string) => void,
) => Pick<MailLogReader, 'read'>

async function* readFile(
  file: LogFile,
  { damaged, recognized, unreadable, noteRead }: ReadOptions,
  begin: BeginLog,
): AsyncGenerator<readonly Recorded[]> {
  const { name } = file
  const skip = (line: number, why: string): void => damaged({ file: name, line }, why)
  let reader: Reader | undefined
  let isKnown = false
  /** A line that is of no form. */
  let example: string | undefined
  const know = (): void => {
    if (!isKnown) recognized(name)
    isKnown = true
  }
  try {
    for await (const read of lineBlocks(readBytes(name, noteRead))) {
      const block = withoutColours(read)
      if (block.isTooLong) {
        skip(block.firstLine, 'the line is too long')
        continue
      }
      reader ??= readerOf(block, file, skip, begin)
      if (!isKnown && reader.recognizes(block)) know()
      else if (!isKnown) example ??= exampleOf(block)
      const records = reader.read(block)
      if (records.length === 0) continue
      know()
      yield records
    }
    // A log is empty when it has just been rotated.
    if (reader && !isKnown) unreadable(name, unknownForm(example))
  } catch (error) {
    unreadable(name, describeError(error))
  }
}

function unknownForm(example: string | undefined): string {
  const found = example === undefined ? '' : ` One of its lines is "${example}".`
  return `neither a trace nor a log of Postfix.${found} Expected are lines such as "${EXPECTED}".`
}

/** Postfix's, if one has its name. */
function exampleOf(block: LineBlock): string | undefined {
  const line = lineOfPostfix(block) || firstLines(block).find(line => line.trim() !== '')
  return line === undefined ? undefined : excerpt(line, LONGEST_EXAMPLE)
}

/** Colours, and what else a terminal is told, have no place in a line. */
function withoutColours(block: LineBlock): LineBlock {
  if (!block.bytes.includes(ESCAPE)) return block
  const bytes = Buffer.from(block.bytes.toString('latin1').replaceAll(COLOUR, ''), 'latin1')
  return { ...block, bytes }
}

/** By the first lines of the file. */
function readerOf(
  block: LineBlock,
  { before }: LogFile,
  skip: (line: number, why: string) => void,
  begin: BeginLog,
): Reader {
  const lines = firstLines(block)
  if (lines.some(line => line.startsWith('{') && typeof readTraceLine(line) === 'object')) {
    const trace = new TraceReader()
    return { read: block => readTrace(trace, block, skip), recognizes: () => true }
  }
  const options = { now: () => before, isReplay: true }
  const parse = lineParser(options)
  const log = begin(lineParser(options), skip)
  return {
    read: block => log.read(block),
    recognizes: block =>
      [...firstLines(block), lineOfPostfix(block)].some(line => parse(line) !== undefined),
  }
}

function firstLines({ bytes }: LineBlock): string[] {
  return bytes.toString().split('\n', MOST_TRIED)
}

/** Other programs may have filled the beginning of the block. Empty if there is none. */
function lineOfPostfix({ bytes }: LineBlock): string {
  const at = bytes.indexOf(POSTFIX)
  if (at < 0) return ''
  const end = bytes.indexOf(LINE_FEED, at)
  return bytes.toString('utf8', bytes.lastIndexOf(LINE_FEED, at) + 1, end < 0 ? undefined : end)
}

function readTrace(
  trace: TraceReader,
  { bytes, firstLine }: LineBlock,
  skip: (line: number, why: string) => void,
): Recorded[] {
  const records: Recorded[] = []
  // Decoded at once, and cut afterwards: that takes a third of the time.
  const text = bytes.toString()
  let number = firstLine
  for (let from = 0; from <= text.length; number++) {
    const end = text.indexOf('\n', from)
    const line = text.slice(from, end < 0 ? text.length : end)
    from = end < 0 ? text.length + 1 : end + 1
    if (line === '' || line === '\r') continue
    const record = trace.read(line)
    if (typeof record === 'string') skip(number, record)
    else records.push(record)
  }
  return records
}
