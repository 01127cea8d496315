/** All host variables of the package: what they mean, what is in force and why, and setting them. */

import { useState } from 'preact/hooks'
import type { Variables as Answer, Changes, UndoList, Variable } from '../../api.ts'
import { Card, Empty, Failed, Loading, Notice, PageHead } from '../parts/basics.tsx'
import { Segments } from '../parts/field.tsx'
import { Icon } from '../parts/icon.tsx'
import { get } from '../state/call.ts'
import { useConsole } from '../state/console.ts'
import { useLoaded } from '../state/load.ts'
import { useTitle } from '../state/title.ts'
import { Changed } from './variables/changed.tsx'
import { SetDialog } from './variables/set-dialog.tsx'
import { VariableEntry } from './variables/variable-entry.tsx'

type Shown = 'all' | 'set'

export function Variables() {
  const { t, f, tell, language } = useConsole()
  useTitle(t.nav.variables)
  const loaded = useLoaded(signal => get<Answer>('variables', {}, signal), [])
  const undo = useLoaded(signal => get<UndoList>('variables/undo', {}, signal), [])
  const [search, setSearch] = useState('')
  const [shown, setShown] = useState<Shown>('all')
  const [changes, setChanges] = useState<Changes | undefined>()
  const { value, error, again } = loaded

  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  const fits = (variable: Variable): boolean => {
    if (shown === 'set' && !isSet(variable)) return false
    const text = `${variable.name} ${variable.value ?? ''} ${variable.description[language]}`
    return words.every(word => text.toLowerCase().includes(word))
  }
  const found = value?.variables.filter(fits) ?? []

  return (
    <>
      <PageHead title={t.nav.variables} note={t.variables.note} />
      <div class="stack">
        {error && <Failed message={error.message} again={again} />}
        {value?.fixed !== undefined && <Notice tone="warn">{value.fixed}</Notice>}
        <Card>
          <search class="list-tools">
            <div class="search">
              <Icon name="search" size={18} />
              <input
                type="search"
                aria-label={t.variables.search}
                placeholder={t.variables.search}
                value={search}
                maxLength={200}
                onInput={event => setSearch(event.currentTarget.value)}
              />
            </div>
            <Segments
              label={t.variables.shown}
              value={shown}
              set={setShown}
              choices={[
                ['all', t.variables.all],
                ['set', t.variables.set],
              ]}
            />
          </search>
          <div class="result-line" role="status">
            {value ? t.variables.count(f.number(found.length)) : ''}
          </div>
          {!value && !error && <Loading lines={14} />}
          {value && found.length === 0 && (
            <Empty icon="search" title={t.variables.none}>
              {t.variables.noneHelp}
            </Empty>
          )}
          {found.map(variable => (
            <VariableEntry
              key={variable.name}
              variable={variable}
              isFixed={value?.fixed !== undefined}
              change={setChanges}
            />
          ))}
        </Card>
        <Changed
          undo={undo}
          done={message => {
            tell(message)
            undo.again()
            again()
          }}
        />
      </div>
      {changes && (
        <SetDialog
          changes={changes}
          close={() => setChanges(undefined)}
          done={message => {
            setChanges(undefined)
            tell(message)
            again()
            undo.again()
          }}
        />
      )}
    </>
  )
}

/** By the administrator, in whatever layer. */
function isSet({ layer }: Variable): boolean {
  return layer !== undefined && layer !== 'default'
}
