/** Lookup tables of Postfix. */

import { LookupError } from '../policy/errors.ts'
import type { Table } from '../policy/table.ts'

export interface ClosableTable extends Table {
  close(): void
}

export function openTable(_name: string): ClosableTable {
  throw new LookupError('not built yet')
}

export function openPlainTable(_path: string): ClosableTable {
  throw new LookupError('not built yet')
}
