# What people run. `make` alone prints the list of targets.

NODE := node_modules/.bin/node
# The binary itself: its wrapper package depends on platforms that not every mirror has.
BIOME := node_modules/@biomejs/cli-linux-x64/biome
SHELL := /bin/sh
# The directory for everything that `make run` writes.
RUN := .run
# npm writes this file last.
packages := node_modules/.package-lock.json
.DEFAULT_GOAL := help
.PHONY: help build run test check fix golden replay e2e bench bench-chain exact faults fuzz deb test-deb clean

help:  ## show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

build: $(packages) dist/country.mmdb  ## build all programs into dist/
	$(NODE) scripts/build.ts

$(packages): package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund
	$(NODE) node_modules/tap/dist/esm/run.mjs build  # applies the list of tap plugins in package.json
	@touch $@

# The GeoIP data comes from Debian's tor-geoipdb, so no account is needed.
dist/country.mmdb: | $(packages)
	$(NODE) scripts/geoip-data.ts --out $@

run: build  ## run the daemon with its defaults, in the foreground
	@$(NODE) scripts/try-it.ts $(RUN)
	@exec dist/mtpolicyd --root $(RUN) -f

check: $(packages)  ## check format, lint and types; changes nothing
	$(BIOME) check .
	node_modules/.bin/tsc --noEmit
	node_modules/.bin/tsc --noEmit -p daemon/web/page  # the browser's code has the DOM's types

fix: $(packages)  ## fix format and lint
	$(BIOME) check --write .

test:  ## run all checks and tests; as root, install what they need first
	scripts/test.sh

golden: $(packages)  ## rewrite the golden files; review the diff afterwards
	GOLDEN=write $(NODE) node_modules/.bin/tap test/config/*.test.ts test/registry/*.test.ts

replay: build  ## replay the cases recorded from mtpolicyd
	$(NODE) test/replay/runner.ts

e2e: build  ## test the real program, also with a real Postfix
	$(NODE) node_modules/.bin/tap test/e2e/*.test.ts

bench: build  ## measure speed and memory against their targets (BENCH='--only idle')
	$(NODE) bench/bench.ts $(BENCH)

bench-chain: build  ## compare twelve plugins and six DNS queries with the default policy
	$(NODE) bench/chain.ts

exact: build  ## send 100,000 recipients through a real Postfix and compare the counts (root)
	$(NODE) test/exact/main.ts

faults: build  ## inject faults into a daemon under load (root)
	$(NODE) test/faults/main.ts

FUZZ ?= 20
fuzz: build  ## test random input, 20 times as much as make test (FUZZ=20)
	FUZZ=$(FUZZ) TAP_TIMEOUT=7200 $(NODE) node_modules/.bin/tap $$(grep -rl support/fuzz test --include=*.test.ts)

deb: build  ## build the Debian package
	scripts/deb.sh

test-deb: deb  ## install, test and remove the package in a fresh Debian (root)
	scripts/test-deb.sh

clean:  ## delete everything that was built
	rm -rf dist .run .tap build
