/** A field whose value is checked while one types, by the parser that the server uses when it is set. */

import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { CheckAnswer } from '../../../api.ts'
import { Field } from '../../parts/field.tsx'
import { post } from '../../state/call.ts'

const PAUSE_MILLISECONDS = 200

export function CheckedField(props: {
  /** Of the variable; empty: nothing to check against yet. */
  name: string
  label: ComponentChildren
  value: string
  set: (value: string) => void
  hint?: ComponentChildren
  placeholder?: string
  choices?: readonly (readonly [string, string])[]
  /** An empty field means that the variable is not set. */
  emptyIsFine?: boolean
  checked: (isFine: boolean) => void
}) {
  const { name, value } = props
  const [problem, setProblem] = useState('')
  const isTyped = useRef(false)
  const report = useRef(props.checked)
  report.current = props.checked

  useEffect(() => {
    if (!isTyped.current || name === '') return undefined
    if (value.trim() === '' && props.emptyIsFine) {
      setProblem('')
      report.current(true)
      return undefined
    }
    const leaving = new AbortController()
    const timer = setTimeout(() => {
      post<CheckAnswer>('variables/check', { name, value }, leaving.signal).then(
        answer => {
          setProblem(answer.ok ? '' : answer.expected)
          report.current(answer.ok)
        },
        // Without an answer nothing is known to be wrong: the server checks it again when it is set.
        () => undefined,
      )
    }, PAUSE_MILLISECONDS)
    return () => {
      clearTimeout(timer)
      leaving.abort()
    }
  }, [name, value, props.emptyIsFine])

  return (
    <Field
      label={props.label}
      value={value}
      set={given => {
        isTyped.current = true
        props.set(given)
      }}
      {...(props.hint !== undefined ? { hint: props.hint } : {})}
      {...(props.placeholder !== undefined ? { placeholder: props.placeholder } : {})}
      {...(props.choices ? { choices: props.choices } : {})}
      error={problem}
    />
  )
}
