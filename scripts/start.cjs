/**
 * Starts a bundled program with what V8 has compiled of it before (code-cache.cjs). A cache that is
 * missing, or of another V8, costs time and nothing else. Which bundle it belongs to V8 does not
 * check, so the name has to say it.
 *
 * Not an ES module: starting one takes Node longer, and the cache that Node itself can keep is made
 * at run time, for one user.
 */

const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { constants, Script } = require('node:vm')

module.exports = function start(name) {
  const bundle = join(__dirname, name)
  const cache = `${bundle}.cache`
  // The bundle is ASCII; latin1 spares the decoding.
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
