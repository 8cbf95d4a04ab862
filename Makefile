# Commands of the project. `make drill` and `make test` do all set-up by themselves.

SHELL := /bin/bash
FAULT ?= kill-host
EXPERIMENT ?= failover
PICTURED ?= kill-host writer-frozen-but-accepting planned-switchover
SEEDS ?= 8000
SCENARIOS := $(sort $(patsubst tests/scenarios/%.txt,%,$(wildcard tests/scenarios/*.txt)))
REPEAT ?= 1
RUNS ?= 1
MINUTES ?= 60
TIME ?= 60s
FAULTS ?= 500
ROTATIONS ?= 56

# Always the whole workspace for one named target: Cargo gives dependencies the features that the selected packages
# ask for, so another selection builds the AWS SDK once more.
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
FUNCTIONS := health-prober event-router promotion-coordinator connection-drainer secret-rotator backup-verifier fis-scheduler application-probe
# Without make's own job control, which is meant for compilers that make starts.
CARGO := env -u MAKEFLAGS -u MFLAGS cargo
RELEASE := --locked --release --target $(HOST)
TARGET := $(or $(CARGO_TARGET_DIR),target)
LAB := $(TARGET)/$(HOST)/release/lab
CLIENT_LAB := $(TARGET)/$(HOST)/release/client-lab
INFRA := $(TARGET)/$(HOST)/release/infra
INSTALLATION := tests/installation/installation.py
LAMBDA := .venv/bin/cargo-lambda lambda

export PATH := $(HOME)/.cargo/bin:$(PATH)

SIM := $(TARGET)/$(HOST)/release/sim

.PHONY: help drill drills drill-backup drill-rotation game-day soak known-fault sim year simulator explain report watch browser pictures bench campaign bench-client client-lab mutants test check pure deny lab fuzz build package generate infra-quick infra-test setup clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

drill: known-fault build ## Carry out a scenario: FAULT=kill-host (any of tests/scenarios) REPEAT=n NATIVE=12s DUPLICATE=1
	@exec $(LAB) drill --fault '$(FAULT)' --repeat '$(REPEAT)' $(if $(NATIVE),--native '$(NATIVE)') $(if $(DUPLICATE),--duplicate)

drills: build ## Carry out every scenario in the lab, in one table: RUNS=5 repeats those that bound a time
	@exec $(LAB) drills --runs '$(RUNS)'

soak: build ## An hour of background noise on which nobody may act: MINUTES=60 SEED=n repeats one
	@exec $(LAB) soak --minutes '$(MINUTES)' $(if $(SEED),--seed '$(SEED)')

known-fault:
	@case ' $(SCENARIOS) ' in *' $(FAULT) '*) ;; *) \
	  echo "FAULT=$(FAULT) is no scenario; choose one of: $(SCENARIOS)" >&2; exit 2;; esac

drill-backup: build ## Restore backups beside production and open them, damaged ones too: REPEAT=n of each kind
	@exec $(LAB) backup $(if $(filter-out 1,$(REPEAT)),--repeat '$(REPEAT)')

drill-rotation: build ## Rotate passwords under load, with failovers in the midst of rotations: ROTATIONS=56
	@exec $(LAB) rotation --rotations '$(ROTATIONS)'

game-day: build ## Let the scheduler conduct a game day in the lab, and judge it: EXPERIMENT=failover, crash, zone-unreachable
	@exec $(LAB) game-day --experiment '$(EXPERIMENT)'

sim: simulator ## Simulate failovers in virtual time: SEEDS=8000 FROM=n, or one again: SEED=n or SCENARIO=kill-host [DISTURB=17:lost]
	@if [ -n '$(DISTURB)' ] && [ -z '$(SCENARIO)' -o -n '$(SEED)' ]; then \
	  echo "DISTURB=$(DISTURB) disturbs a scenario: add SCENARIO=kill-host, and leave SEED out" >&2; exit 2; fi
ifdef SEED
	@exec $(SIM) replay '$(SEED)'
else ifdef SCENARIO
	@exec $(SIM) scenario 'tests/scenarios/$(SCENARIO).txt' $(if $(DISTURB),--disturb '$(DISTURB)')
else
	@exec $(SIM) run --seeds '$(SEEDS)' $(if $(FROM),--from '$(FROM)')
endif

year: simulator ## Let a year of weekly game days pass, with every kind of skip and failure: what was told to whom?
	@exec $(SIM) year

explain: simulator ## Say what evidence or events mean, line by line: EVENTS=file
	@test -n '$(EVENTS)' || { echo "make explain needs EVENTS=file: an evidence file, log lines or events" >&2; exit 2; }
	@exec $(SIM) explain '$(EVENTS)'

report: simulator ## Make a page for people of an evidence file alone: EVENTS=file OUTPUT=target/report.html
	@test -n '$(EVENTS)' || { echo "make report needs EVENTS=file: the evidence of at least one episode" >&2; exit 2; }
	@exec $(SIM) report '$(EVENTS)' --output '$(or $(OUTPUT),$(TARGET)/report.html)'

watch: build ## The operator's console: of the lab that is up, or as STEADFAST_CLUSTER, _TABLE, _COORDINATOR say
	@if [ -z "$$STEADFAST_CLUSTER$$STEADFAST_INSTANCE" ] && [ -f $(TARGET)/lab/operator.env ]; then \
	  set -a; . $(abspath $(TARGET))/lab/operator.env; fi; exec $(INFRA) watch

browser: setup ## Try the report in Chromium: both schemes, a telephone, keyboard, paper, accessibility
	@$(CARGO) run --quiet $(RELEASE) --package steadfast-report --example pages -- $(TARGET)/browser
	@tests/browser/run $(patsubst %,$(TARGET)/browser/%.html,passed failed recorded) \
	  $(wildcard $(TARGET)/drill/report.html)

pictures: build ## Drill PICTURED, and take pictures of each report into target/pictures
	@mkdir -p $(TARGET)/pictures
	@for fault in $(PICTURED); do $(LAB) drill --fault "$$fault" && \
	  cp $(TARGET)/drill/report.html "$(TARGET)/pictures/$$fault.html" || exit 1; done
	@tests/browser/run $(patsubst %,$(TARGET)/pictures/%.html,$(PICTURED))

bench: setup ## Simulated failovers per second on one core
	$(CARGO) bench --locked --package steadfast-simulation --bench failovers

campaign: client-lab ## Kill, freeze and move the writer under load, and ask what became of every transaction: FAULTS=500
	@exec $(CLIENT_LAB) campaign --faults '$(FAULTS)'
	@exec $(CLIENT_LAB) compare

bench-client: client-lab ## What protection costs: the client and plain tokio-postgres in turns
	@exec $(CLIENT_LAB) bench

client-lab: build

mutants: setup ## Delete or weaken each rule and each lease check in turn: which ones do the tests miss?
	@exec python3 tests/mutants/mutants.py

# Alone it is built in half a minute; the AWS SDK takes ten.
simulator: setup
	@$(CARGO) build --quiet $(RELEASE) --package steadfast-simulation

test: setup check pure ## Everything that CI runs: format, lints, unit tests, the lab's tests
	$(MAKE) --no-print-directory --jobs=2 build infra-quick
	$(CARGO) test $(RELEASE) --workspace --no-fail-fast
	$(MAKE) --no-print-directory browser

check: ## Format and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(RELEASE) --workspace --all-targets -- -D warnings

pure: ## The core depends on no runtime, no AWS crate and no driver, also when built alone
	@leaks=$$($(CARGO) tree --locked --package steadfast-core --edges normal --prefix none \
	  | grep -E '^(tokio|aws|hyper|rustls|lambda|tokio-postgres)' || true); \
	  if [ -n "$$leaks" ]; then echo "steadfast-core depends on: $$leaks" >&2; exit 1; fi
	$(CARGO) check $(RELEASE) --package steadfast-core

deny: ## Licences, bans and sources of all dependencies; advisories where the network allows
	$(CARGO) deny --locked check licenses bans sources

fuzz: ## Feed the parsers arbitrary input, guided by coverage: TIME=60s for each of four targets
	@shared/core/fuzz/run '$(TIME)'

lab: build ## Run the lab until Ctrl-C, for `cargo lambda invoke` and manual drills
	@exec $(LAB) up

build: setup ## Build everything for this machine, and lay the functions out as Lambda finds them
	$(CARGO) build $(RELEASE) --workspace --bins
	@for function in $(FUNCTIONS); do \
	  mkdir -p "$(TARGET)/lambda/$$function" && \
	  ln -f "$(TARGET)/$(HOST)/release/$$function" "$(TARGET)/lambda/$$function/bootstrap" || exit 1; done

package: build ## Build the functions for Lambda on arm64, as zip files: the same input, the same bytes; CA_BUNDLE=file
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(INFRA) package $(if $(CA_BUNDLE),--ca-bundle '$(CA_BUNDLE)')

generate: build ## Write what the code knows into the Terraform module's generated files
	@$(INFRA) generate

infra-quick: ## Format, validation and mocked tests of the Terraform module; skipped where Terraform is not
	@python3 $(INSTALLATION) quick

infra-test: build ## Everything about the module: plan, apply, failover, destroy against an emulator; a scan
	@python3 $(INSTALLATION) all --infra $(INFRA)

setup: ## Install what is missing, or say what to install
	@tests/lab/setup

clean: ## Remove everything that was built
	rm -rf $(TARGET) .venv
