/** What an act has done, in a line that a screen reader reads out. */

import { useEffect, useState } from 'preact/hooks'
import { useConsole } from '../state/console.ts'
import { Icon } from './icon.tsx'

const SHOWN_MILLISECONDS = 7000

export function Toast({ message }: { message: { text: string; turn: number } }) {
  const { t } = useConsole()
  const [closed, setClosed] = useState(0)
  useEffect(() => {
    const timer = setTimeout(() => setClosed(message.turn), SHOWN_MILLISECONDS)
    return () => clearTimeout(timer)
  }, [message])
  const isShown = message.turn > closed
  return (
    <>
      <div class="unseen" role="status" aria-live="polite">
        {isShown ? message.text : ''}
      </div>
      {isShown && (
        <div class="toast">
          <span aria-hidden="true">{message.text}</span>
          <button
            type="button"
            class="button quiet tiny icon"
            aria-label={t.close}
            onClick={() => setClosed(message.turn)}
          >
            <Icon name="close" size={16} />
          </button>
        </div>
      )}
    </>
  )
}
