/** How much of a limit is used, and the length of a bar. Widths are set by script, which a strict CSP allows. */

/** From this share on a limit is shown as nearly used up. */
const NEAR = 0.8

export type Fill = 'good' | 'warn' | 'bad'

export function fillOf(used: number, limit: number): Fill {
  if (used >= limit) return 'bad'
  return used >= NEAR * limit ? 'warn' : 'good'
}

export function Meter(props: { used: number; limit: number; label: string }) {
  const share = props.limit === 0 ? 1 : Math.min(props.used / props.limit, 1)
  return (
    // biome-ignore lint/a11y/useSemanticElements: a <meter> cannot be given these colours
    <div
      class={`meter ${fillOf(props.used, props.limit)}`}
      role="meter"
      aria-label={props.label}
      aria-valuemin={0}
      aria-valuemax={Math.max(props.limit, props.used)}
      aria-valuenow={props.used}
    >
      <i style={widthOf(share)} />
    </div>
  )
}

export function widthOf(share: number): { width: string } {
  return { width: `${Math.max(0, Math.min(1, share)) * 100}%` }
}
