# The people's entry. `make` alone prints this list.

NODE := node_modules/.bin/node
# The program itself: its wrapper package names platforms that not every mirror has.
BIOME := node_modules/@biomejs/cli-linux-x64/biome
SHELL := /bin/sh
# Where `make run` keeps all it writes.
RUN := .run
# npm writes this file last.
packages := node_modules/.package-lock.json
.DEFAULT_GOAL := help
.PHONY: help build run test check fix golden replay e2e bench bench-chain exact faults fuzz deb test-deb clean

help:  ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

build: $(packages) dist/country.mmdb  ## everything that runs, into dist/
	$(NODE) scripts/build.ts

$(packages): package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund
	$(NODE) node_modules/tap/dist/esm/run.mjs build  # takes over the list of plugins in package.json
	@touch $@

# The GeoIP data comes from Debian's tor-geoipdb; no account is needed.
dist/country.mmdb: | $(packages)
	$(NODE) scripts/geoip-data.ts --out $@

run: build  ## the daemon with its defaults, here, in the foreground
	@$(NODE) scripts/try-it.ts $(RUN)
	@exec dist/mtpolicyd --root $(RUN) -f

check: $(packages)  ## format, lint, types; changes nothing
	$(BIOME) check .
	node_modules/.bin/tsc --noEmit

fix: $(packages)  ## format and lint, mended
	$(BIOME) check --write .

test:  ## all checks and tests, with everything they need
	scripts/test.sh

golden: $(packages)  ## write the golden files anew; then read the diff
	GOLDEN=write $(NODE) node_modules/.bin/tap test/config/*.test.ts test/registry/*.test.ts

replay: build  ## the recorded cases of the original
	$(NODE) test/replay/runner.ts

e2e: build  ## conversations with the real program, and with a real Postfix
	$(NODE) node_modules/.bin/tap test/e2e/*.test.ts

bench: build  ## speed and size beside what is asked (BENCH='--only idle')
	$(NODE) bench/bench.ts $(BENCH)

bench-chain: build  ## twelve plugins and six DNS questions beside the default policy
	$(NODE) bench/chain.ts

exact: build  ## 100,000 recipients through a real Postfix: counted = queued? (root)
	$(NODE) test/exact/main.ts

faults: build  ## what befalls a server, on a daemon under load (root)
	$(NODE) test/faults/main.ts

FUZZ ?= 20
fuzz: build  ## random input, twenty times as much as in the tests (FUZZ=20)
	FUZZ=$(FUZZ) TAP_TIMEOUT=7200 $(NODE) node_modules/.bin/tap $$(grep -rl support/fuzz test --include=*.test.ts)

deb: build  ## the Debian package
	scripts/deb.sh

test-deb: deb  ## install and remove it in a fresh Debian (root)
	scripts/test-deb.sh

clean:  ## what was built
	rm -rf dist .run .tap build
