/**
 * Records which of UCR's variables we set for Postfix, so that it can be undone exactly.
 *
 * One JSON file, beside the one for main.cf; not trusted if somebody else can write it
 * (`private-file.ts`). The endpoint is kept even if no variable is recorded, so that an
 * administrator's entry follows a changed port.
 */

import fs from 'node:fs'
import path from 'node:path'
import * as v from 'valibot'
import { readOwn, writePrivately } from './private-file.ts'

const schema = v.object({
  endpoint: v.object({ host: v.string(), port: v.number() }),
  variables: v.array(
    v.object({ key: v.string(), written: v.string(), previous: v.optional(v.string()) }),
  ),
})

export type UcsRecord = v.InferOutput<typeof schema>
export type WrittenVariable = UcsRecord['variables'][number]

export interface UcsRecordFile {
  readonly record: UcsRecord | undefined
  /** Without a record the file is removed. */
  store(record: UcsRecord | undefined): void
}

/** `postfix.json` → `postfix-ucr.json`. Throws if the file exists but is not ours. */
export function openUcsRecord(stateFile: string): UcsRecordFile {
  const file = stateFile.replace(/(\.json)?$/, '-ucr.json')
  return {
    record: load(file),
    store(record) {
      if (!record) {
        fs.rmSync(file, { force: true })
        return
      }
      fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 })
      writePrivately(file, Buffer.from(`${JSON.stringify(record, null, 2)}\n`))
    },
  }
}

function load(file: string): UcsRecord | undefined {
  const text = readOwn(file)
  if (text === undefined) return undefined
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, 'latin1').toString('utf8'))
    return v.parse(schema, parsed)
  } catch (cause) {
    throw new Error(`${file} is not a record of variables for Postfix`, { cause })
  }
}
