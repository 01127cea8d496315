/** A refusal on a page of its own, whose address can be handed on. */

import { Card, PageHead } from '../parts/basics.tsx'
import { useConsole } from '../state/console.ts'
import { addressOf } from '../state/route.ts'
import { useTitle } from '../state/title.ts'
import { Explanation } from './why/explanation.tsx'

export function WhyPage({ code }: { code: string }) {
  const { t } = useConsole()
  useTitle(`${t.why.title} ${code}`)
  return (
    <>
      <p class="crumb">
        <a href={addressOf('refusals')}>{t.nav.refusals}</a>
      </p>
      <PageHead
        title={
          <>
            {t.why.title} <span class="mono">{code}</span>
          </>
        }
      />
      <Card>
        <div class="explanation">
          <Explanation code={code} />
        </div>
      </Card>
    </>
  )
}
