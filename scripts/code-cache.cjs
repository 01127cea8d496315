/**
 * Runs a program of dist/ and saves what V8 has compiled until it ends, for start.cjs:
 *
 *   dist/node FLAGS scripts/code-cache.cjs dist/mtpolicyd.cjs ARGUMENTS
 *
 * The flags are those of its launcher: V8 rejects a cache that was made with others.
 */

const { renameSync, writeFileSync } = require('node:fs')
const { resolve } = require('node:path')

process.argv.splice(1, 1)
const { script, cache } = require(resolve(process.argv[1]))

process.on('exit', () => {
  writeFileSync(`${cache}.new`, script.createCachedData())
  renameSync(`${cache}.new`, cache)
})
