/** One variable: its line, and below it its meaning and a field to change it. */

import { useState } from 'preact/hooks'
import type { Changes, Variable } from '../../../api.ts'
import { Badge, Name } from '../../parts/basics.tsx'
import { CommandLine } from '../../parts/command.tsx'
import { Field } from '../../parts/field.tsx'
import { Icon } from '../../parts/icon.tsx'
import { useConsole } from '../../state/console.ts'
import { mistakeIn } from '../../state/mistake.ts'
import { CheckedField } from './checked-field.tsx'

export function VariableEntry(props: {
  variable: Variable
  isFixed: boolean
  change: (changes: Changes) => void
}) {
  const { t } = useConsole()
  const { variable } = props
  const [isOpen, setOpen] = useState(false)
  const hasValue = !variable.isPattern && variable.value !== undefined && variable.value !== ''
  const layer = variable.layer === 'default' && !hasValue ? undefined : variable.layer
  return (
    <details class="variable" onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>
        <Icon name="chevron" size={16} />
        <span class="variable-name">
          <bdi>
            {variable.isPattern ? variable.name.replace('.*', t.variables.star) : variable.name}
          </bdi>
        </span>
        <span class="variable-value" title={variable.value}>
          {variable.isPattern ? (
            <span class="muted">{t.variables.pattern}</span>
          ) : !hasValue ? (
            <span class="muted">{t.variables.notSet}</span>
          ) : (
            <bdi>{variable.value}</bdi>
          )}
        </span>
        <span class="variable-layer">
          {layer !== undefined && (
            <span class={`badge plain ${layer === 'default' ? '' : 'accent'}`}>
              {t.layer(layer)}
            </span>
          )}
        </span>
      </summary>
      {isOpen && <Body {...props} />}
    </details>
  )
}

function Body(props: { variable: Variable; isFixed: boolean; change: (changes: Changes) => void }) {
  const { t, language, mayChange } = useConsole()
  const { variable } = props
  const isLocked = variable.locked !== undefined
  const mayEdit = mayChange && !props.isFixed && !isLocked
  return (
    <div class="variable-body">
      <p>{variable.description[language] || variable.description.en}</p>
      <dl class="facts small">
        <dt>{t.variables.type}</dt>
        <dd>{typeText(variable, t.variables.to)}</dd>
        <dt>{t.variables.default}</dt>
        <dd class="mono">{variable.default || '–'}</dd>
        {variable.emptyMeans !== undefined && (
          <>
            <dt>{t.variables.empty}</dt>
            <dd>{variable.emptyMeans}</dd>
          </>
        )}
        {variable.pattern !== undefined && (
          <>
            <dt>{t.variables.declared}</dt>
            <dd class="mono">{variable.pattern}</dd>
          </>
        )}
      </dl>
      {isOverlaid(variable) && (
        <p>
          <Badge tone="warn">{t.variables.overlaid(t.layer(variable.layer ?? ''))}</Badge>
        </p>
      )}
      {mayEdit && <Edit {...props} />}
      {mayChange && isLocked && (
        <>
          <p class="muted small">{t.variables.locked}</p>
          <CommandLine text={`mtpolicyctl set ${variable.name}=...`} />
        </>
      )}
      {!mayChange && <p class="muted small">{t.variables.readOnly}</p>}
    </div>
  )
}

function Edit(props: { variable: Variable; change: (changes: Changes) => void }) {
  const { t } = useConsole()
  const { variable } = props
  const start = variable.set ?? variable.value ?? ''
  const [value, setValue] = useState(start)
  const [subject, setSubject] = useState('')
  const [isFine, setFine] = useState(true)
  const [problem, setProblem] = useState('')
  const name = variable.isPattern
    ? subject.trim() === ''
      ? ''
      : variable.name.replace('.*', subject.trim())
    : variable.name
  const choices = variable.choices?.map((one): [string, string] => [one, one])
  const submit = async () => {
    if (name === '') return setProblem(t.variables.noSubject)
    if (!variable.isPattern && value === start && variable.set !== undefined) {
      return setProblem(t.variables.unchanged)
    }
    // It may have been typed a moment ago.
    if ((await mistakeIn(name, value).catch(() => '')) !== '') return setFine(false)
    setProblem('')
    props.change({ [name]: value })
  }
  return (
    <form
      class={`variable-edit ${variable.isPattern ? 'two' : ''}`}
      onSubmit={event => {
        event.preventDefault()
        submit()
      }}
    >
      {variable.isPattern && (
        <Field
          label={variable.name.includes('/domain/') ? t.variables.domain : t.account}
          value={subject}
          set={setSubject}
          error={problem}
        />
      )}
      <CheckedField
        name={name}
        label={t.variables.value}
        value={value}
        set={given => {
          setValue(given)
          setProblem('')
        }}
        checked={setFine}
        {...(choices ? { choices: value === '' ? [['', '–'], ...choices] : choices } : {})}
      />
      <div class="actions">
        <button type="submit" class="button primary" aria-disabled={!isFine}>
          {t.variables.preview}
        </button>
        {variable.set !== undefined && (
          <button
            type="button"
            class="button"
            onClick={() => props.change({ [variable.name]: null })}
          >
            {t.variables.unset}
          </button>
        )}
      </div>
      {!variable.isPattern && problem !== '' && (
        <p class="hint" role="alert">
          <Name>{problem}</Name>
        </p>
      )}
    </form>
  )
}

/** What is set here has no effect: another layer wins. */
function isOverlaid({ layer }: Variable): boolean {
  return ['forced', 'schedule', 'custom', 'environment', 'ldap'].includes(layer ?? '')
}

function typeText({ type, choices, min, max }: Variable, to: string): string {
  if (choices) return choices.join(' | ')
  if (min !== undefined || max !== undefined) return `${type}, ${min ?? ''} ${to} ${max ?? '∞'}`
  return type
}
