/** A command or a line of a configuration, with a button that copies it. */

import { useState } from 'preact/hooks'
import { useConsole } from '../state/console.ts'
import { Icon } from './icon.tsx'

const SHOWN_MILLISECONDS = 2000

export function CommandLine({ text }: { text: string }) {
  const { t, tell } = useConsole()
  const [isCopied, setCopied] = useState(false)
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
    } catch {
      // Over http:// from elsewhere than localhost, browsers refuse it.
      tell(t.notCopied)
      return
    }
    setCopied(true)
    tell(t.copied)
    setTimeout(() => setCopied(false), SHOWN_MILLISECONDS)
  }
  return (
    <div class="command">
      <code>{text}</code>
      <button
        type="button"
        class="button quiet tiny icon"
        onClick={copy}
        aria-label={t.copy(text)}
        title={t.copyShort}
      >
        <Icon name={isCopied ? 'check' : 'copy'} size={16} />
      </button>
    </div>
  )
}
