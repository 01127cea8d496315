/**
 * ClearFields - forget values of the mail.
 *
 *   <Plugin forget>
 *     module        = "ClearFields"
 *     fields        = "class, score"
 *     fields_prefix = "spf-"
 *   </Plugin>
 *
 * `fields` are keys, `fields_prefix` beginnings of keys, as they are written (no wildcards).
 * Empty elements mean nothing (to mtpolicyd an empty prefix is every key). Keys that begin with "_"
 * stay.
 */

import { definePlugin } from '../policy/plugin.ts'
import { list } from '../policy/setting.ts'

export const clearFields = definePlugin({
  name: 'ClearFields',
  summary: 'Forget values of the mail.',
  settings: {
    fields: list({ doc: 'Keys to forget.', fallback: [] }),
    fields_prefix: list({ doc: 'Beginnings of keys to forget.', fallback: [] }),
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
