/** Icons of 24 × 24, drawn with lines in the colour of the text. They accompany words, so nobody reads them out. */

const PATHS = {
  today: 'M4 19V10m5 9V5m6 14v-7m5 7V8',
  account: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7.500 8a7.500 7.500 0 0 1 15 0',
  refusals: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM5.700 5.700l12.600 12.600',
  tryout:
    'M9 3h6m-5 0v6l-5.500 9.500A1.700 1.700 0 0 0 6 21h12a1.700 1.700 0 0 0 1.500-2.500L14 9V3M7.500 15h9',
  variables:
    'M4 7h9m5 0h2M4 17h2m5 0h9M15.500 9.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5Zm-7 10a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5Z',
  good: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Zm-4-9 3 3 5.500-6',
  warn: 'M12 3.500 2.500 20h19L12 3.500ZM12 10v4.500m0 2.800v.1',
  bad: 'M8.300 3h7.400L21 8.300v7.400L15.700 21H8.300L3 15.700V8.300L8.300 3ZM12 7.500v5.500m0 3.200v.1',
  note: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Zm0-10v5.500m0-9v.1',
  check: 'm5 12.500 4.500 4.500L19 7.500',
  close: 'm6 6 12 12M18 6 6 18',
  cross: 'm7 7 10 10M17 7 7 17',
  search: 'M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13Zm4.800-1.700L20 20',
  copy: 'M9 9h10v11H9V9Zm-4 6V4h10',
  chevron: 'm9 6 6 6-6 6',
  arrow: 'M4 12h16m-6-6 6 6-6 6',
  sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm0-13v1.500m0 15V21M3 12h1.500m15 0H21M5.600 5.600l1.100 1.100m10.600 10.600 1.100 1.100m0-12.800-1.100 1.100M6.700 17.300l-1.100 1.100',
  moon: 'M19.500 14.500A8 8 0 0 1 9.500 4.500a8 8 0 1 0 10 10Z',
  auto: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Zm0-18v18m0-14h6.500M12 11h8.800M12 15h8.400',
  logout: 'M10 4H5v16h5m4-4 4-4-4-4m4 4H9',
  pulse: 'M3 12h4l2.500-6 4.500 12 2.500-6H21',
  clock: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Zm0-14v5.500l3.500 2',
  undo: 'M4 9h10a5.500 5.500 0 0 1 0 11H8M4 9l4.500-4.500M4 9l4.500 4.500',
  lock: 'M6 11h12v9H6v-9Zm2.500 0V8a3.500 3.500 0 0 1 7 0v3',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="1.800"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  )
}

export function Mark({ size = 30 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="none" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#2a4fd0" />
      <g stroke="#fff" stroke-width="2.200" stroke-linecap="round" stroke-linejoin="round">
        <path d="M16 5.500 25 9v7c0 5.400-3.700 8.900-9 10.500C10.700 24.900 7 21.400 7 16V9z" />
        <path d="m11.500 13.500 4.500 3.500 4.500-3.500" />
      </g>
    </svg>
  )
}
