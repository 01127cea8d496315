/**
 * ClearFields - delete values of the mail.
 *
 *   <Plugin clear>
 *     module        = "ClearFields"
 *     fields        = "class, score"
 *     fields_prefix = "spf-"
 *   </Plugin>
 *
 * `fields` lists keys, `fields_prefix` lists how keys begin, without wildcards. Keys that begin with
 * "_" are never deleted.
 *
 * Differences from mtpolicyd
 *
 * - Empty elements of a list are ignored; to mtpolicyd an empty prefix is every key.
 */

import { definePlugin } from '../policy/plugin.ts'
import { list } from '../policy/setting.ts'

export const clearFields = definePlugin({
  name: 'ClearFields',
  summary: 'Delete values of the mail.',
  settings: {
    fields: list({ doc: 'Keys to delete.', fallback: [] }),
    fields_prefix: list({ doc: 'Prefixes of keys to delete.', fallback: [] }),
  },
  create({ fields, fields_prefix }) {
    return (_request, { session }) => {
      for (const key of [...session.keys()]) {
        if (key.startsWith('_')) continue
        if (fields.includes(key) || fields_prefix.some(prefix => key.startsWith(prefix))) {
          session.delete(key)
        }
      }
      return undefined
    }
  },
})
