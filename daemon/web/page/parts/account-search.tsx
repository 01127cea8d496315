/** A field that offers names of accounts while one types (ARIA: combobox with a list). */

import { useEffect, useId, useState } from 'preact/hooks'
import type { Accounts } from '../../api.ts'
import { get } from '../state/call.ts'
import { useConsole } from '../state/console.ts'
import { Icon } from './icon.tsx'

const OFFERED = 12
const PAUSE_MILLISECONDS = 150

export function AccountSearch(props: { label: string; choose: (account: string) => void }) {
  const { t } = useConsole()
  const id = useId()
  const [text, setText] = useState('')
  const [names, setNames] = useState<readonly string[]>([])
  const [at, setAt] = useState(-1)
  const [isOpen, setOpen] = useState(false)

  useEffect(() => {
    const leaving = new AbortController()
    const timer = setTimeout(() => {
      get<Accounts>('accounts', { prefix: text.trim(), most: OFFERED }, leaving.signal).then(
        ({ accounts }) => {
          setNames(accounts.slice(0, OFFERED))
          setAt(-1)
        },
        () => setNames([]),
      )
    }, PAUSE_MILLISECONDS)
    return () => {
      clearTimeout(timer)
      leaving.abort()
    }
  }, [text])

  const choose = (name: string) => {
    if (name === '') return
    setOpen(false)
    props.choose(name)
  }
  const isShown = isOpen && names.length > 0
  const onKey = (event: KeyboardEvent) => {
    if (event.key === 'Escape') return setOpen(false)
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return
    event.preventDefault()
    setOpen(true)
    const step = event.key === 'ArrowDown' ? 1 : -1
    setAt(old => Math.max(-1, Math.min(names.length - 1, old + step)))
  }
  return (
    <form
      class="field"
      onSubmit={event => {
        event.preventDefault()
        choose(names[at] ?? text.trim())
      }}
    >
      <label htmlFor={id}>{props.label}</label>
      <div class="search">
        <Icon name="search" size={18} />
        <input
          id={id}
          role="combobox"
          aria-expanded={isShown}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={at >= 0 && isShown ? `${id}-${at}` : undefined}
          autoComplete="off"
          spellcheck={false}
          maxLength={500}
          placeholder={t.accounts.placeholder}
          value={text}
          onInput={event => {
            setText(event.currentTarget.value)
            setOpen(true)
          }}
          onFocus={() => setOpen(true)}
          onBlur={() => setOpen(false)}
          onKeyDown={onKey}
        />
        <div
          class="suggestions"
          role="listbox"
          id={`${id}-list`}
          aria-label={props.label}
          hidden={!isShown}
        >
          {names.map((name, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: keys are the field's
            // biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus
            <div
              key={name}
              id={`${id}-${index}`}
              role="option"
              aria-selected={index === at}
              onMouseDown={event => event.preventDefault()}
              onClick={() => choose(name)}
            >
              <bdi>{name}</bdi>
            </div>
          ))}
        </div>
      </div>
    </form>
  )
}
