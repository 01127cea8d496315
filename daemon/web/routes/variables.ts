/** Variables: what they are, whether a value fits, what a change would do, and doing it, or undoing it. */

import { checkTextAsDaemon } from '../../assembly/configuration.ts'
import type { Notice as PlacedNotice } from '../../policy/problem.ts'
import { describeNotice } from '../../policy/problem.ts'
import { consoleChanges } from '../../registry/console-changes.ts'
import {
  type Changes,
  checkAssignment,
  checkChanges,
  hiddenValues,
  shownValue,
  UnfitChange,
} from '../../registry/console-variables.ts'
import { previewOf } from '../../registry/preview.ts'
import { openRegistry, type Registry } from '../../registry/registry.ts'
import { quoteValue } from '../../registry/render.ts'
import { withHeaderOf } from '../../registry/template-files.ts'
import type { CheckAnswer, Notice, PreviewAnswer, SetAnswer, UndoList } from '../api.ts'
import { askChange } from '../change-client.ts'
import { unifiedDiff } from '../diff.ts'
import { fieldsOf, neededText } from '../given.ts'
import { listVariables, writtenScope } from '../listed-variables.ts'
import { json, WebError } from '../reply.ts'
import type { MakeRoutes, Services } from '../router.ts'

export const variableRoutes: MakeRoutes = services => {
  const { paths } = services
  const open = (): Registry => openRegistry({ root: paths.root, env: process.env })
  return [
    {
      method: 'GET',
      path: '/api/variables',
      role: 'read',
      handle: ({ query }) => json(listVariables(open(), paths, query.get('search') ?? '')),
    },
    {
      method: 'POST',
      path: '/api/variables/check',
      role: 'read',
      handle: ({ body }) => {
        const fields = fieldsOf(body, ['name', 'value'])
        const { value } = fields
        if (typeof value !== 'string') throw new WebError(400, '"value" must be a text')
        const checked = checkAssignment(open(), neededText(fields, 'name'), value)
        const answer: CheckAnswer = checked.ok ? { ok: true, value: checked.value } : checked
        return json(answer)
      },
    },
    {
      method: 'POST',
      path: '/api/variables/preview',
      role: 'read',
      handle: async ({ body }) => {
        const registry = open()
        return json(await preview(services, registry, readChanges(registry, body)))
      },
    },
    {
      method: 'POST',
      path: '/api/variables/set',
      role: 'change',
      handle: async ({ body, by }) => {
        const changes = Object.fromEntries(readChanges(open(), body))
        return json(told(await askChange(paths, { command: 'set', changes, by })))
      },
    },
    {
      method: 'GET',
      path: '/api/variables/undo',
      role: 'read',
      handle: () => {
        const answer: UndoList = { changes: consoleChanges(open()).map(shown) }
        return json(answer)
      },
    },
    {
      method: 'POST',
      path: '/api/variables/undo',
      role: 'change',
      handle: async ({ body, by }) => {
        const id = neededText(fieldsOf(body, ['id']), 'id')
        return json(told(await askChange(paths, { command: 'undo', id, by })))
      },
    },
  ]
}

/** Throws a WebError that says which value does not fit, and what would. */
export function readChanges(
  registry: Registry,
  body: unknown,
  others: readonly string[] = [],
): Changes {
  const { changes } = fieldsOf(body, ['changes', ...others])
  try {
    return checkChanges(registry, changes)
  } catch (error) {
    if (error instanceof UnfitChange) throw new WebError(400, error.message)
    throw error
  }
}

async function preview(
  { paths }: Services,
  registry: Registry,
  changes: Changes,
): Promise<PreviewAnswer> {
  const plan = {
    scope: writtenScope(registry),
    changes: new Map([...changes].map(([name, value]) => [name, value ?? undefined])),
  }
  const check = async (target: string, text: string) =>
    target === paths.config ? await checkTextAsDaemon(paths, target, text) : []
  const { files, notices } = await previewOf({ registry, templates: paths.templates, check }, plan)
  const plainly = notices.map(plain)
  const hidden = hiddenValues(registry)
  return {
    files: files.map(({ file, before, after }) => ({
      file,
      // Its sums are different, of course.
      diff: unifiedDiff(
        file,
        before && without(hidden, withHeaderOf(after, before)),
        without(hidden, after),
      ),
    })),
    notices: plainly,
    canBeSet: !plainly.some(({ severity }) => severity === 'error'),
  }
}

/** Also where it is written as text in quotes. */
function without(hidden: ReadonlyMap<string, string>, text: string): string {
  let shown = text
  for (const [value, instead] of hidden) {
    shown = shown.replaceAll(quoteValue(value), quoteValue(instead)).replaceAll(value, instead)
  }
  return shown
}

const told = ({ change, notices }: SetAnswer): SetAnswer => ({
  change: shown(change),
  notices: notices.map(plain),
})

/** Changes of earlier versions may have any variable. */
function shown(change: SetAnswer['change']): SetAnswer['change'] {
  const values = change.values.map(({ name, before, after }) => ({
    name,
    before: before && shownValue(name, before),
    after: after && shownValue(name, after),
  }))
  return { ...change, values }
}

function plain(notice: PlacedNotice): Notice {
  const severity = notice.severity === 'warning' ? 'warning' : 'error'
  return { severity, message: describeNotice(notice) }
}
