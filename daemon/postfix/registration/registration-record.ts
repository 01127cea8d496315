/**
 * Records what we changed in which of Postfix's files, so that it can be undone exactly.
 *
 * One JSON file for all instances, mode 0600, and beside it a 0600 copy of each file as it was.
 * Root acts on both later, so neither is trusted if somebody else owns or can write it
 * (`private-file.ts`).
 */

import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import * as v from 'valibot'
import { readOwn, writePrivately } from './private-file.ts'

const fileName = v.picklist(['main.cf', 'master.cf'])

const editSchema = v.object({
  file: fileName,
  /** In master.cf: `submission/inet`. */
  service: v.optional(v.string()),
  parameter: v.string(),
  item: v.string(),
  /** The exact text that was inserted, one character per byte. */
  inserted: v.string(),
  /** The parameter did not exist before. */
  created: v.boolean(),
})

const savedSchema = v.object({
  name: fileName,
  sha256Before: v.string(),
  sha256After: v.string(),
  /** File name of the copy, beside the record. */
  savedCopy: v.string(),
})

const recordSchema = v.object({
  configDir: v.string(),
  endpoint: v.object({ host: v.string(), port: v.number() }),
  edits: v.array(editSchema),
  files: v.array(savedSchema),
})

/** The format of the first version: one edit, in main.cf. */
const firstSchema = v.pipe(
  v.object({
    configDir: v.string(),
    parameter: v.string(),
    endpoint: v.object({ host: v.string(), port: v.number() }),
    item: v.string(),
    inserted: v.string(),
    created: v.boolean(),
    sha256Before: v.string(),
    sha256After: v.string(),
    savedCopy: v.string(),
  }),
  v.transform(old => {
    const { configDir, endpoint, parameter, item, inserted, created } = old
    const { sha256Before, sha256After, savedCopy } = old
    const edits: Edit[] = [{ file: 'main.cf', parameter, item, inserted, created }]
    const files: SavedFile[] = [{ name: 'main.cf', sha256Before, sha256After, savedCopy }]
    return { configDir, endpoint, edits, files }
  }),
)
const fileSchema = v.object({ registrations: v.array(v.union([recordSchema, firstSchema])) })

export type RegistrationRecord = v.InferOutput<typeof recordSchema>
export type Edit = v.InferOutput<typeof editSchema>
export type FileName = v.InferOutput<typeof fileName>
type SavedFile = v.InferOutput<typeof savedSchema>

/** One file of an instance, as it was and as we leave it. */
export interface Change {
  readonly name: FileName
  readonly before: string
  readonly after: string
}

export interface RecordFile {
  find(configDir: string): RegistrationRecord | undefined
  all(): readonly RegistrationRecord[]
  /** Replaces the record of the same instance; files without a copy are copied first. */
  put(
    record: Pick<RegistrationRecord, 'configDir' | 'endpoint' | 'edits'>,
    changes: readonly Change[],
  ): void
  remove(configDir: string): void
  /**
   * Returns a function that restores the present record, for an edit that has to be rolled back.
   */
  remember(configDir: string): () => void
  /** The saved file, if the text is still as we left it and the copy is intact. */
  saved(record: RegistrationRecord, name: FileName, text: string): string | undefined
}

/** Throws if the file exists but is not ours or cannot be read as a record. */
export function openRecords(file: string): RecordFile {
  const directory = path.dirname(file)
  let records = load(file)
  const store = (next: RegistrationRecord[]) => {
    const used = new Set(next.flatMap(({ files }) => files.map(({ savedCopy }) => savedCopy)))
    const unused = records.flatMap(({ files }) => files.filter(one => !used.has(one.savedCopy)))
    records = next
    if (next.length > 0) {
      writePrivately(file, Buffer.from(`${JSON.stringify({ registrations: next }, null, 2)}\n`))
    } else {
      fs.rmSync(file, { force: true })
    }
    for (const { savedCopy } of unused) {
      fs.rmSync(path.join(directory, path.basename(savedCopy)), { force: true })
    }
  }
  const copyOf = ({ savedCopy, sha256Before }: SavedFile) => {
    const text = readOwn(path.join(directory, path.basename(savedCopy)))
    return text !== undefined && sha256(text) === sha256Before ? text : undefined
  }
  const save = ({ name, before, after }: Change): SavedFile => {
    const sha256Before = sha256(before)
    const savedCopy = `${name}.${sha256Before.slice(0, 16)}.saved`
    writePrivately(path.join(directory, savedCopy), Buffer.from(before, 'latin1'))
    return { name, sha256Before, sha256After: sha256(after), savedCopy }
  }
  const others = (configDir: string) => records.filter(r => r.configDir !== configDir)
  const opened: RecordFile = {
    find: configDir => records.find(r => r.configDir === configDir),
    all: () => records,
    put(record, changes) {
      fs.mkdirSync(directory, { recursive: true, mode: 0o755 })
      const known = opened.find(record.configDir)?.files ?? []
      const files = changes.map(change => {
        const old = known.find(({ name }) => name === change.name)
        if (!old) return save(change)
        // Somebody edited the file in between: the copy is no longer what an undo has to restore.
        const isUntouched = old.sha256After === sha256(change.before)
        return isUntouched ? { ...old, sha256After: sha256(change.after) } : old
      })
      const kept = known.filter(({ name }) => !changes.some(change => change.name === name))
      store([...others(record.configDir), { ...record, files: [...kept, ...files] }])
    },
    remove: configDir => store(others(configDir)),
    remember(configDir) {
      const record = opened.find(configDir)
      const copies = record?.files.flatMap(one => {
        const text = copyOf(one)
        return text === undefined ? [] : [[one.savedCopy, text] as const]
      })
      return () => {
        if (!record) return opened.remove(configDir)
        for (const [name, text] of copies ?? []) {
          writePrivately(path.join(directory, path.basename(name)), Buffer.from(text, 'latin1'))
        }
        store([...others(configDir), record])
      }
    },
    saved({ files }, name, text) {
      const found = files.find(one => one.name === name)
      return found?.sha256After === sha256(text) ? copyOf(found) : undefined
    },
  }
  return opened
}

/** The hash of latin1 text, and so of the file's bytes. */
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
