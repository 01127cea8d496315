/**
 * The bytes of a file, or of standard input, decompressed: gzip and zstd here, xz and bzip2 by their programs.
 * What it is packed with is told by its first bytes, whatever its name. UTF-16, which PowerShell saves
 * the output of a program in, becomes UTF-8.
 */

import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'

/** Read at once: a system call for less takes longer than the bytes. */
const CHUNK_BYTES = 1024 * 1024
const STANDARD_INPUT = '-'

const MAGIC: ReadonlyArray<readonly [kind: Packing, bytes: Buffer]> = [
  ['gzip', Buffer.from([0x1f, 0x8b])],
  ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])],
  ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
  ['bzip2', Buffer.from('BZh')],
  ['utf-16le', Buffer.from([0xff, 0xfe])],
]

type Packing = 'gzip' | 'xz' | 'zstd' | 'bzip2' | 'utf-16le'

/**
 * What is yielded is overwritten when more is asked for. `noteRead`: told how many bytes of the file itself
 * were read. Throws if it cannot be read, or is damaged.
 */
export async function* readBytes(
  name: string,
  noteRead: (bytes: number) => void = () => undefined,
): AsyncGenerator<Buffer> {
  if (name === STANDARD_INPUT) {
    yield* unpackedIfPacked(counted(process.stdin, noteRead))
    return
  }
  const handle = await open(name)
  try {
    const bytes = Buffer.allocUnsafeSlow(CHUNK_BYTES)
    let isFirst = true
    for (;;) {
      const { bytesRead } = await handle.read(bytes, 0, CHUNK_BYTES, null)
      if (bytesRead === 0) return
      const chunk = bytes.subarray(0, bytesRead)
      if (isFirst && packingOf(chunk) !== undefined) break
      isFirst = false
      noteRead(bytesRead)
      yield chunk
    }
  } finally {
    await handle.close()
  }
  const source = createReadStream(name, { highWaterMark: CHUNK_BYTES })
  try {
    yield* unpackedIfPacked(counted(source, noteRead))
  } finally {
    source.destroy()
  }
}

async function* unpackedIfPacked(chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const first = await firstBytes(chunks)
  const packing = packingOf(first)
  const all = chain(first, chunks)
  if (packing === undefined) yield* all
  else yield* unpacked(packing, all)
}

function packingOf(first: Buffer): Packing | undefined {
  return MAGIC.find(([, bytes]) => first.subarray(0, bytes.length).equals(bytes))?.[0]
}

async function* counted(
  source: AsyncIterable<Buffer>,
  noteRead: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    noteRead(chunk.length)
    yield chunk
  }
}

/** Enough to tell what it is, if there is as much; a pipe may bring single bytes. */
async function firstBytes(chunks: AsyncGenerator<Buffer>): Promise<Buffer> {
  let first: Buffer = Buffer.alloc(0)
  while (first.length < 6) {
    const { value, done } = await chunks.next()
    if (done) break
    first = first.length === 0 ? value : Buffer.concat([first, value])
  }
  return first
}

async function* chain(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  if (first.length > 0) yield first
  yield* rest
}

async function* unpacked(packing: Packing, bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  switch (packing) {
    case 'gzip': {
      const { createGunzip } = await import('node:zlib')
      return yield* through(createGunzip({ chunkSize: CHUNK_BYTES }), bytes)
    }
    case 'zstd': {
      const { createZstdDecompress } = await import('node:zlib')
      return yield* through(createZstdDecompress({ chunkSize: CHUNK_BYTES }), bytes)
    }
    case 'utf-16le':
      return yield* inUtf8(bytes)
    default:
      return yield* byProgram(packing, bytes)
  }
}

async function* inUtf8(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder('utf-16le')
  for await (const chunk of bytes) yield Buffer.from(decoder.decode(chunk, { stream: true }))
}

async function* through(
  unpacking: Readable & Writable,
  bytes: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const { pipeline } = await import('node:stream/promises')
  const fed = pipeline(bytes, unpacking)
  // What fails is thrown to the reader; a reader that has seen enough ends it as well.
  fed.catch(() => undefined)
  // A stream in its default mode reads buffers.
  yield* unpacking as AsyncIterable<Buffer>
}

async function* byProgram(
  program: 'xz' | 'bzip2',
  bytes: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const { spawn } = process.getBuiltinModule('node:child_process')
  const { pipeline } = await import('node:stream/promises')
  const child = spawn(program, ['-dc'], { stdio: ['pipe', 'pipe', 'pipe'] })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (complaint.length < 300) complaint += text
  })
  const ended = new Promise<Error | undefined>(resolve => {
    child.once('error', error =>
      resolve(
        'code' in error && error.code === 'ENOENT'
          ? new Error(`compressed with ${program}, which is not installed`)
          : error,
      ),
    )
    child.once('close', status =>
      resolve(status === 0 ? undefined : new Error(complaint.trim() || `${program} failed`)),
    )
  })
  pipeline(bytes, child.stdin).catch(() => undefined)
  try {
    yield* child.stdout as AsyncIterable<Buffer>
    const failure = await ended
    if (failure) throw failure
  } finally {
    child.kill()
  }
}
