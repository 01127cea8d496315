/** What the console has changed, each of which can be undone as long as nothing has changed it since. */

import { useState } from 'preact/hooks'
import type { ConsoleChange, SetAnswer, UndoList } from '../../../api.ts'
import { Badge, Card, Empty, Failed, Name, Time } from '../../parts/basics.tsx'
import { Icon } from '../../parts/icon.tsx'
import { type CallError, post } from '../../state/call.ts'
import { useConsole } from '../../state/console.ts'
import type { Loaded } from '../../state/load.ts'

export function Changed(props: { undo: Loaded<UndoList>; done: (message: string) => void }) {
  const { t, mayChange } = useConsole()
  const [problem, setProblem] = useState('')
  const changes = props.undo.value?.changes
  const undo = async ({ id }: ConsoleChange) => {
    setProblem('')
    try {
      await post<SetAnswer>('variables/undo', { id })
      props.done(t.changed.undone)
    } catch (error) {
      setProblem((error as CallError).message) // post() rejects with no other
    }
  }
  return (
    <Card title={t.changed.title} note={t.changed.note}>
      {(problem !== '' || props.undo.error) && (
        <div class="card-body">
          <Failed message={problem || (props.undo.error?.message ?? '')} />
        </div>
      )}
      {changes?.length === 0 && (
        <Empty icon="undo" title={t.changed.none}>
          {t.changed.noneHelp}
        </Empty>
      )}
      {changes && changes.length > 0 && (
        <table class="cards">
          <caption class="unseen">{t.changed.title}</caption>
          <thead>
            <tr>
              <th scope="col">{t.time}</th>
              <th scope="col">{t.changed.by}</th>
              <th scope="col">{t.changed.what}</th>
              <th scope="col">{t.changed.undo}</th>
            </tr>
          </thead>
          <tbody>
            {changes.map(change => (
              <tr key={change.id}>
                <th scope="row">
                  <Time at={change.at} />
                </th>
                <td data-label={t.changed.by}>
                  <Name>{change.by}</Name>
                </td>
                <td>
                  {change.values.map(({ name, before, after }) => (
                    <div class="mono name" key={name}>
                      {name}: {before ?? t.variables.notSet} → {after ?? t.variables.notSet}
                    </div>
                  ))}
                </td>
                <td>
                  {change.undone ? (
                    <Badge tone="muted" icon="check">
                      {t.changed.wasUndone}
                    </Badge>
                  ) : (
                    mayChange && (
                      <button type="button" class="button tiny" onClick={() => undo(change)}>
                        <Icon name="undo" size={16} />
                        {t.changed.undo}
                      </button>
                    )
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  )
}
