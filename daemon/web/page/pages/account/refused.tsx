/** The last refusals of the account; each opens with what the rules saw. */

import { useState } from 'preact/hooks'
import type { RefusalLine } from '../../../api.ts'
import { Card, Country, Empty, Time } from '../../parts/basics.tsx'
import { Told } from '../../parts/told.tsx'
import { useConsole } from '../../state/console.ts'
import { addressOf } from '../../state/route.ts'
import { WhyDrawer } from '../why/why-drawer.tsx'

const FIRST = 5

export function Refused(props: { refusals: readonly RefusalLine[]; account: string }) {
  const { t } = useConsole()
  const [code, setCode] = useState('')
  const shown = props.refusals.slice(0, FIRST)
  return (
    <Card title={t.refused.title}>
      {shown.length === 0 ? (
        <Empty icon="good" title={t.refused.none} />
      ) : (
        <table class="cards refused">
          <caption class="unseen">{t.refused.title}</caption>
          <thead>
            <tr>
              <th scope="col">{t.time}</th>
              <th scope="col">{t.refusals.told}</th>
              <th scope="col">{t.country}</th>
              <th scope="col">{t.refusals.why}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map(refusal => (
              <tr key={`${refusal.code} ${refusal.at}`}>
                <th scope="row">
                  <Time at={refusal.at} />
                </th>
                <td>
                  <Told action={refusal.action} />
                </td>
                <td data-label={t.country}>
                  <Country code={refusal.country} />
                </td>
                <td data-label={t.refusals.why}>
                  <span>
                    <button
                      type="button"
                      class="link mono"
                      aria-label={t.refusals.explain(refusal.code)}
                      onClick={() => setCode(refusal.code)}
                    >
                      {refusal.code}
                    </button>
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {props.refusals.length > FIRST && (
        <div class="more">
          <a class="button quiet tiny" href={addressOf('refusals', '', { account: props.account })}>
            {t.refused.all}
          </a>
        </div>
      )}
      {code !== '' && <WhyDrawer code={code} close={() => setCode('')} />}
    </Card>
  )
}
