/** Whether something holds always, never, or depends on what cannot be known here. */

export type Certainty = 'no' | 'perhaps' | 'yes'

const ORDER: readonly Certainty[] = ['no', 'perhaps', 'yes']

/** True if both hold. */
export function both(a: Certainty, b: Certainty): Certainty {
  return ORDER[Math.min(ORDER.indexOf(a), ORDER.indexOf(b))] ?? 'no'
}

/** True if either holds. */
export function either(a: Certainty, b: Certainty): Certainty {
  return ORDER[Math.max(ORDER.indexOf(a), ORDER.indexOf(b))] ?? 'no'
}

export function not(a: Certainty): Certainty {
  return a === 'yes' ? 'no' : a === 'no' ? 'yes' : 'perhaps'
}
