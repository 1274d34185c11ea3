# `make demo` runs the broker with simulated feeds, `make cluster-demo` a cluster; `make test` is what CI runs. The other targets are parts of `test`,
# or take longer.

CARGO ?= cargo
# `make demo PROFILE=release` runs the optimised broker, after a longer build; so do `make cluster-demo` and `make journal-test`.
PROFILE ?= dev
TARGET := $(or $(CARGO_TARGET_DIR),target)

# Where cargo puts programs of this profile.
BUILT = $(abspath $(TARGET))/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

# Tests that cannot run because a program or a data file is missing write a line to this file.
export NOT_RUN := $(abspath $(TARGET))/not-run.txt

.PHONY: demo cluster-demo test fmt clippy unit faults doc loom foreign browser page screenshots deploy-test dashboards recordings tools fuzz conformance bench bench-scenarios torture journal-test cluster-test compare compare-tls compare-journal clean-tools

demo:
	$(CARGO) run --profile $(PROFILE) -p broker -- demo $(ARGS)

# Two brokers with one journal on three nats-servers, and what happens to a page when any of them is killed.
# `ARGS='--port 20000'` takes other ports.
cluster-demo:
	.ci/install-test-tools nats
	$(CARGO) build --profile $(PROFILE) -p broker -p feed-sim --locked
	BROKER=$(BUILT)/tickcast FEED_SIM=$(BUILT)/feed-sim deploy/cluster/demo $(ARGS)

# Quick checks first, and one after the other: each of them uses all cores.
test:
	@rm -f $(NOT_RUN)
	$(MAKE) fmt
	$(MAKE) clippy
	$(MAKE) unit
	$(MAKE) faults
	$(MAKE) doc
	$(MAKE) loom
	$(MAKE) foreign
	$(MAKE) deploy-test
	$(MAKE) dashboards
	@if [ -s $(NOT_RUN) ]; then echo "Not run on this machine:"; sort -u $(NOT_RUN); fi

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) clippy -p broker-engine --all-targets --features planted-faults --locked -- -D warnings
	$(CARGO) clippy -p broker --no-default-features --locked -- -D warnings

unit: tools
	$(CARGO) test --workspace --locked

# Plants one fault after the other in the engine; the simulation must find each of them.
faults:
	$(CARGO) test -p broker-engine --locked --features planted-faults --test planted_faults --test agreement --test journaled

# Checks every link of the documentation, private items included: links from public to private items are allowed then.
DOC_LINTS := -D warnings -A rustdoc::private_intra_doc_links -A rustdoc::redundant_explicit_links
doc:
	RUSTDOCFLAGS="$(DOC_LINTS)" $(CARGO) doc --workspace --no-deps --document-private-items --locked

# Every interleaving of the feed's hand-over and of the shards' wake-up. Built in a separate folder, since the `cfg`
# would rebuild everything.
loom:
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=$(TARGET)/loom $(CARGO) test -p broker-engine --locked --test 'loom_*'

# Third-party clients against the built broker: Node, Python and a browser.
foreign: tools
	$(CARGO) build -p broker --locked
	BROKER=$(abspath $(TARGET))/debug/tickcast broker/tests/foreign/run

browser: tools
	$(CARGO) build -p broker --locked
	BROKER=$(abspath $(TARGET))/debug/tickcast broker/tests/foreign/run browser

# Checks the Dockerfile, compose file, systemd unit, kernel settings and Kubernetes manifests, and runs the reverse
# proxies.
deploy-test: tools
	$(CARGO) build -p broker -p feed-sim --locked
	BROKER=$(abspath $(TARGET))/debug/tickcast FEED_SIM=$(abspath $(TARGET))/debug/feed-sim deploy/tests/run $(TESTS)

# Prometheus' rules and Grafana's dashboards against the real promtool and Prometheus, and a broker under load.
dashboards: tools
	$(CARGO) build -p broker --locked
	BROKER=$(abspath $(TARGET))/debug/tickcast dashboards/tests/run

page: tools
	$(CARGO) build -p broker --locked
	PHOTOGRAPHS=$(abspath $(TARGET))/photographs BROKER=$(abspath $(TARGET))/debug/tickcast broker/tests/foreign/run page

# Takes the documents' screenshots of the live page again, with the page's test.
SHOWN := markets-dark markets-light markets-phone-light instrument-phone-dark matches-light broker-dark
screenshots: tools
	$(CARGO) build -p broker --locked
	NODE_PATH=$(abspath .tools)/node_modules CANDLES=16 PHOTOGRAPHS=$(abspath $(TARGET))/photographs BROKER=$(abspath $(TARGET))/debug/tickcast node --test dashboards/web/tests/page/photographs.js
	mkdir -p dashboards/web/screenshots
	cd $(abspath $(TARGET))/photographs && cp $(SHOWN:=.png) $(CURDIR)/dashboards/web/screenshots/

# The synthetic recordings of the tests, made anew. `make unit` checks that the files in the repository are these.
recordings:
	$(CARGO) run -p feed-formats --example recordings --locked

tools:
	.ci/install-test-tools

# Runs each fuzz target for FUZZ_SECONDS. Needs cargo-fuzz (`cargo install cargo-fuzz`); RUSTC_BOOTSTRAP allows the
# stable compiler.
FUZZ_SECONDS ?= 60
fuzz:
	cd broker && for target in $$(RUSTC_BOOTSTRAP=1 $(CARGO) fuzz list); do \
		RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

# The Autobahn suite (its set-up takes some 40 s, once) against the echo example. CONFORMANCE is the folder of its
# set-up scripts. Left out: compression (12, 13), which the broker does not negotiate, and four cases that send 16,384
# or more fragments: more than fragments_max, so the broker closes with 1009, as documented.
CONFORMANCE_EXCEPT = ["12.*","13.*","9.3.1","9.3.2","9.4.1","9.4.2"]
CONFORMANCE ?= ../shared/tools/conformance
ECHO ?= 127.0.0.1:9010
conformance:
	test -x .tools/conformance/run.sh || $(CONFORMANCE)/setup.sh .tools/conformance
	$(CARGO) build --release -p broker --example echo --locked
	$(abspath $(TARGET))/release/examples/echo --listen $(ECHO) & echo=$$!; trap "kill $$echo" EXIT; \
		.tools/conformance/run.sh ws://$(ECHO) tickcast "" '["*"]' '$(CONFORMANCE_EXCEPT)'

# Not part of `test`: the measurements need a quiet machine and some minutes. broker/docs/benchmarks.md explains them.
# One program alone: `cargo bench -p CRATE --bench NAME`; one scenario alone: `make bench-scenarios SCENARIOS=steady`.
SCENARIOS ?= steady fast many-topics saturated saturated-100 many-topics-saturated idle slow-mix
bench:
	$(CARGO) bench -p broker-engine -p broker --locked --bench '*'
	$(MAKE) bench-scenarios

bench-scenarios:
	$(CARGO) build --release --locked -p broker -p loadgen --bins
	$(TARGET)/release/loadgen compare loadgen/compare/field.toml --servers tickcast --floors 1,32 \
		--scenarios $$(echo $(SCENARIOS) | tr ' ' ,)

# Attacks on the release build while well-behaved clients are connected. Fails if a limit is missed. Takes some 18
# minutes on a quiet machine with two cores. ARGS selects attacks by parts of their names; BROKER is another build to
# attack.
torture:
	$(if $(BROKER),BROKER=$(abspath $(BROKER))) $(CARGO) test --release -p broker --locked --test torture -- --full $(ARGS)

# A broker with a journal is killed 200 times under load, its disk is full, its log is cut off at every byte of the last
# record, and a million updates are read again (some 7 minutes); then the tests of what clients see, with brokers that
# have a journal (some 2 minutes). Parts of it need root, or namespaces of users, and are listed if they cannot run.
# With a seed that failed: SEED=N cargo test -p broker --test journal killed_as_by_a_seed -- --ignored --nocapture
JOURNALED := --test protocol --test http_api --test sse --test bad_input
journal-test:
	@rm -f $(NOT_RUN)
	$(CARGO) test --profile $(PROFILE) -p broker --locked --test journal -- --include-ignored --nocapture --test-threads 1
	TICKCAST_TEST_JOURNAL=1 $(CARGO) test --profile $(PROFILE) -p broker --locked --no-fail-fast $(JOURNALED)
	@if [ -s $(NOT_RUN) ]; then echo "Not run on this machine:"; sort -u $(NOT_RUN); fi

# Brokers that share a journal on real nats-servers of both supported versions: servers and brokers are killed, stopped and
# paused under load, brokers start from checkpoints, also from broken ones (some 40 minutes). Needs no rights. It prints
# how many updates, how many blows, and for how long nobody could publish.
cluster-test:
	@rm -f $(NOT_RUN)
	.ci/install-test-tools nats
	$(CARGO) test --profile $(PROFILE) -p broker --locked --test cluster -- --include-ignored --nocapture --test-threads 1
	@if [ -s $(NOT_RUN) ]; then echo "Not run on this machine:"; sort -u $(NOT_RUN); fi

# Compares Tickcast with other servers, which loadgen/peers/install installs. The run itself takes some 25 minutes on a
# quiet machine with two cores. loadgen/RESULTS.md holds our results.
COMPARE = $(TARGET)/release/loadgen compare loadgen/compare/field.toml --repeats 3 --seconds 2
CLOSEST := tickcast,uwebsockets,nats-server,centrifugo
compare:
	loadgen/peers/install nats centrifugo mosquitto nginx-nchan node-ws uwebsockets
	$(CARGO) build --release --locked -p broker -p loadgen --bins
	$(CARGO) build --release --locked -p loadgen --example broadcast
	$(COMPARE) --equal-frames --floors 1,32 --base floor-32 --scenarios saturated,many-topics-saturated --out $(TARGET)/compare/saturated
	$(COMPARE) --servers $(CLOSEST),centrifugo-history --equal-frames --floors 32 --scenarios saturated-100,saturated-5000 --out $(TARGET)/compare/few-and-many
	$(COMPARE) --equal-frames --floors 1 --scenarios steady,many-topics --out $(TARGET)/compare/steady
	$(COMPARE) --servers $(CLOSEST) --floors 1 --scenarios burst,churn,idle --out $(TARGET)/compare/changing

# What TLS and tokens cost: Tickcast with and without them, nginx and HAProxy before it, and uWebSockets. The run itself
# takes some 20 minutes on a quiet machine with two cores. 9,000 idle clients, because a proxy needs 18,000 open files for
# them. Those who stay in a storm need a thread of their own.
COMPARE_TLS = $(TARGET)/release/loadgen compare loadgen/compare/tls.toml --floors 0 --repeats $(ROUNDS)
ROUNDS ?= 5
FRONTS := tickcast,tickcast-tls,nginx-tls,haproxy-tls,uwebsockets,uwebsockets-tls
compare-tls:
	loadgen/peers/install nginx-tls haproxy-tls uwebsockets uwebsockets-tls
	$(CARGO) build --release --locked -p broker -p loadgen --bins
	$(COMPARE_TLS) --servers $(FRONTS) --base tickcast --scenarios deliveries-200 --out $(TARGET)/compare-tls/short
	$(COMPARE_TLS) --servers $(FRONTS),nginx-tls-16k --base tickcast --scenarios deliveries-8k --out $(TARGET)/compare-tls/long
	$(COMPARE_TLS) --servers $(FRONTS) --base tickcast --scenarios idle --subscribers 9000 --out $(TARGET)/compare-tls/idle
	$(COMPARE_TLS) --servers $(FRONTS),tickcast-tls-mlkem,tickcast-tls-tokens --base tickcast --scenarios connect --out $(TARGET)/compare-tls/connect
	$(COMPARE_TLS) --servers tickcast-tls-tokens --scenarios login-storm --threads 2 --out $(TARGET)/compare-tls/storm

# What a journal costs, beside a broker without one. The run takes some 4 minutes on a quiet machine with two cores.
COMPARE_JOURNAL = $(TARGET)/release/loadgen compare loadgen/compare/journal.toml --floors 0 --base none --repeats $(ROUNDS)
compare-journal:
	$(CARGO) build --release --locked -p broker -p loadgen --bins
	$(COMPARE_JOURNAL) --scenarios journal-batches,journal-single,journal-steady --out $(TARGET)/compare-journal

clean-tools:
	rm -rf .tools
