/** The browser's own dialog: it keeps the focus inside, closes with Escape and gives the focus back. */

import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import { useConsole } from '../state/console.ts'
import { Icon } from './icon.tsx'

export function Dialog(props: {
  title: ComponentChildren
  close: () => void
  children: ComponentChildren
  /** Buttons at the end. */
  foot?: ComponentChildren
  look?: 'wide' | 'drawer'
  /** It is a form, and this is done with it. */
  submit?: () => void
}) {
  const { t } = useConsole()
  const element = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const dialog = element.current
    const before = document.activeElement
    dialog?.showModal()
    return () => {
      dialog?.close()
      if (before instanceof HTMLElement && before.isConnected) before.focus()
    }
  }, [])
  const inside = (
    <>
      <div class="dialog-head">
        <h2 id={id}>{props.title}</h2>
        <button
          type="button"
          class="button quiet tiny icon"
          aria-label={t.close}
          title={t.close}
          onClick={props.close}
        >
          <Icon name="close" size={18} />
        </button>
      </div>
      <div class="dialog-body">{props.children}</div>
      {props.foot && <div class="dialog-foot">{props.foot}</div>}
    </>
  )
  const { submit } = props
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the key for it is Escape
    <dialog
      ref={element}
      class={props.look ?? ''}
      aria-labelledby={id}
      onCancel={event => {
        event.preventDefault()
        props.close()
      }}
      onClick={event => {
        if (event.target === element.current) props.close()
      }}
    >
      {submit ? (
        <form
          noValidate
          onSubmit={event => {
            event.preventDefault()
            submit()
          }}
        >
          {inside}
        </form>
      ) : (
        inside
      )}
    </dialog>
  )
}
