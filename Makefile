# Two commands for a fresh machine: `make demo` and `make test`. Each does its own set-up.
NODE := node_modules/node/bin/node
# Debian packages: what the demo shows with, and what the tests check against.
DEMO_PACKAGES := iproute2 iputils-ping ipset tcpdump iptables containernetworking-plugins
TEST_PACKAGES := $(DEMO_PACKAGES) nftables bird2 frr gobgpd openbgpd exabgp tshark prometheus

# What make starts does not outlive it. To SIGTERM it passes the signal on; a SIGINT that is for make
# alone, not for the terminal's process group, it keeps to itself, and waits.
WITH_MAKE := setpriv --pdeathsig TERM

.PHONY: setup demo test check bundle clean

setup: ## npm packages only: enough to run bin/podrouter from a checkout
	@scripts/setup.sh

demo: ## a cluster in network namespaces, shown and checked step by step (KEEP=1 leaves it up)
	@scripts/setup.sh $(DEMO_PACKAGES)
	@exec $(WITH_MAKE) $(NODE) scripts/demo.ts $(if $(KEEP),--keep)

test: ## everything: types, lint, unit, fuzz, kernel, cluster, interop, bench
	@scripts/setup.sh $(TEST_PACKAGES)
	@exec $(WITH_MAKE) npm run --silent test

check: setup ## types, lint, tidy
	@npm run --silent check

bundle: setup ## dist/, what the image runs
	@$(NODE) scripts/bundle.ts
	@$(NODE) scripts/code-cache.ts dist --max-semi-space-size=1 --initial-old-space-size=32

clean: ## what a build or a test run may leave in the checkout
	rm -rf dist coverage
