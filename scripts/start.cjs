/**
 * Starts a bundled program with V8's compiled code from an earlier run (code-cache.cjs). A cache
 * that is missing, or of another V8 version, only costs time. V8 does not check which bundle a
 * cache belongs to, so the file name has to say it.
 *
 * Not an ES module: Node takes longer to start one, and the cache that Node itself can keep is
 * created at run time, for one user.
 */

const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { constants, Script } = require('node:vm')

module.exports = function start(name) {
  const bundle = join(__dirname, name)
  const cache = `${bundle}.cache`
  // The bundle is ASCII; latin1 saves the decoding.
  const script = new Script(readFileSync(bundle, 'latin1'), {
    filename: bundle,
    cachedData: readIfThere(cache),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  })
  script.runInThisContext()(require, bundle, __dirname)
  return { script, cache }
}

function readIfThere(path) {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}
