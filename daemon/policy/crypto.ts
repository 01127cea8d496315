/**
 * Node's crypto, when it is needed first: loading it takes 8 ms of a start, and most starts need
 * none of it.
 */

export const crypto = (): typeof import('node:crypto') => process.getBuiltinModule('node:crypto')
