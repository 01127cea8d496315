/** The explanation beside the list it was opened from. */

import { Dialog } from '../../parts/dialog.tsx'
import { useConsole } from '../../state/console.ts'
import { addressOf } from '../../state/route.ts'
import { Explanation } from './explanation.tsx'

export function WhyDrawer({ code, close }: { code: string; close: () => void }) {
  const { t } = useConsole()
  return (
    <Dialog
      look="drawer"
      close={close}
      title={
        <>
          {t.why.title} <span class="mono">{code}</span>
        </>
      }
    >
      <Explanation code={code} />
      <p class="small">
        <a href={addressOf('why', code)}>{t.why.link}</a>
      </p>
    </Dialog>
  )
}
