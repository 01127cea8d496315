/**
 * What we changed in which main.cf: the record that makes an exact undo possible.
 *
 * One JSON file for all instances, mode 0600, and beside it a 0600 copy of each main.cf as it was.
 * Both are used as root later on, so neither is believed if somebody else owns or may write it
 * (`private-file.ts`).
 */

import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import * as v from 'valibot'
import { readOwn, writePrivately } from './private-file.ts'

const recordSchema = v.object({
  configDir: v.string(),
  parameter: v.string(),
  endpoint: v.object({ host: v.string(), port: v.number() }),
  item: v.string(),
  /** The exact text that was put in, one character per byte. */
  inserted: v.string(),
  created: v.boolean(),
  sha256Before: v.string(),
  sha256After: v.string(),
  /** File name of the copy, beside the record. */
  savedCopy: v.string(),
})
const fileSchema = v.object({ registrations: v.array(recordSchema) })

export type RegistrationRecord = v.InferOutput<typeof recordSchema>

export interface RecordFile {
  find(configDir: string): RegistrationRecord | undefined
  all(): readonly RegistrationRecord[]
  /** Replaces the record of the same instance; the copy of the old main.cf is written first. */
  put(record: Omit<RegistrationRecord, 'savedCopy'>, mainCfBefore: string): void
  remove(configDir: string): void
  /** A function that brings back what is recorded now, for an edit that did not last. */
  remember(configDir: string): () => void
  /** The saved main.cf, if it still has the checksum it was saved with. */
  saved(record: RegistrationRecord): string | undefined
}

/** Throws if the file is there but is not ours or not readable as a record. */
export function openRecords(file: string): RecordFile {
  const directory = path.dirname(file)
  let records = load(file)
  const store = (next: RegistrationRecord[]) => {
    const unused = records.filter(old => !next.some(r => r.savedCopy === old.savedCopy))
    records = next
    if (next.length > 0) {
      writePrivately(file, Buffer.from(`${JSON.stringify({ registrations: next }, null, 2)}\n`))
    } else {
      fs.rmSync(file, { force: true })
    }
    for (const { savedCopy } of unused) fs.rmSync(path.join(directory, savedCopy), { force: true })
  }
  const copyOf = (record: RegistrationRecord) => {
    const text = readOwn(path.join(directory, path.basename(record.savedCopy)))
    return text !== undefined && sha256(text) === record.sha256Before ? text : undefined
  }
  const opened: RecordFile = {
    find: configDir => records.find(r => r.configDir === configDir),
    all: () => records,
    put(record, mainCfBefore) {
      fs.mkdirSync(directory, { recursive: true, mode: 0o755 })
      const savedCopy = `main.cf.${record.sha256Before.slice(0, 16)}.saved`
      writePrivately(path.join(directory, savedCopy), Buffer.from(mainCfBefore, 'latin1'))
      store([...records.filter(r => r.configDir !== record.configDir), { ...record, savedCopy }])
    },
    remove: configDir => store(records.filter(r => r.configDir !== configDir)),
    remember(configDir) {
      const record = opened.find(configDir)
      const copy = record && copyOf(record)
      return () => {
        if (record && copy !== undefined) opened.put(record, copy)
        else opened.remove(configDir)
      }
    },
    saved: copyOf,
  }
  return opened
}

/** Of latin1 text, so of the bytes. */
export function sha256(text: string): string {
  return createHash('sha256').update(text, 'latin1').digest('hex')
}

function load(file: string): RegistrationRecord[] {
  const text = readOwn(file)
  if (text === undefined) return []
  try {
    const parsed: unknown = JSON.parse(Buffer.from(text, 'latin1').toString('utf8'))
    return v.parse(fileSchema, parsed).registrations
  } catch (cause) {
    throw new Error(`${file} is not a record of Postfix registrations`, { cause })
  }
}
