/** A label, a control, a hint, and what is wrong with it, tied together for those who listen. */

import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'
import { Icon } from './icon.tsx'

export interface FieldProps {
  label: ComponentChildren
  value: string
  set: (value: string) => void
  hint?: ComponentChildren
  error?: string | undefined
  type?: 'text' | 'password' | 'datetime-local'
  placeholder?: string
  autoFocus?: boolean
  autoComplete?: string
  /** A list to choose from instead. */
  choices?: readonly (readonly [value: string, label: string])[]
  maxLength?: number
}

export function Field(props: FieldProps) {
  const id = useId()
  const described = [props.hint !== undefined && `${id}-hint`, props.error && `${id}-error`]
  const common = {
    id,
    value: props.value,
    'aria-describedby': described.filter(Boolean).join(' ') || undefined,
    'aria-invalid': props.error ? ('true' as const) : undefined,
    autoFocus: props.autoFocus,
  }
  return (
    <div class="field">
      <label htmlFor={id}>{props.label}</label>
      {props.choices ? (
        <select {...common} onChange={event => props.set(event.currentTarget.value)}>
          {props.choices.map(([value, label]) => (
            <option key={value} value={value} selected={value === props.value}>
              {label}
            </option>
          ))}
        </select>
      ) : (
        <input
          {...common}
          // The types tell kinds of fields apart, which these have no need of.
          type={(props.type ?? 'text') as 'text'}
          placeholder={props.placeholder}
          autoComplete={props.autoComplete ?? 'off'}
          maxLength={props.maxLength ?? 1000}
          spellcheck={false}
          onInput={event => props.set(event.currentTarget.value)}
        />
      )}
      {props.hint !== undefined && (
        <span class="hint" id={`${id}-hint`}>
          {props.hint}
        </span>
      )}
      {props.error && (
        <span class="error" id={`${id}-error`} role="alert">
          <Icon name="bad" size={16} />
          {props.error}
        </span>
      )}
    </div>
  )
}

/** A few choices beside each other. */
export function Segments<Value extends string>(props: {
  label: string
  value: Value
  set: (value: Value) => void
  choices: readonly (readonly [value: Value, label: string])[]
}) {
  const name = useId()
  return (
    <fieldset class="segments">
      <legend class="unseen">{props.label}</legend>
      {props.choices.map(([value, label]) => (
        <label key={value}>
          <input
            type="radio"
            name={name}
            checked={value === props.value}
            onChange={() => props.set(value)}
          />
          {label}
        </label>
      ))}
    </fieldset>
  )
}
