# The front door. Meson does the building; this file knows what has to be there
# before it (packages, the private runtime, weights) and gets what is missing.
# `make help` lists what can be asked for.

BUILD ?= build
# More for `meson setup`, such as MESON_FLAGS=--prefix=/usr
MESON_FLAGS ?=
# DEPS=no builds with what is there, for systems without apt.
DEPS ?= yes
# Seconds for each harness of `make fuzz`.
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := all
.PHONY: all demo check bench fuzz install format clean help deps models

all: $(BUILD)/build.ninja ## build everything into build/
	@ninja -C $(BUILD)

demo: models all ## describe real photos and a real screenshot
	@BUILD=$(BUILD) tools/demo

check: models all ## run every check and test; ends with 'N passed, N failed'
	@BUILD=$(BUILD) tools/check

bench: models all ## measure cost and speed
	@meson test -C $(BUILD) --benchmark --verbose --no-rebuild

fuzz: all ## fuzz every parser for FUZZ_SECONDS each
	@tools/fuzz $(FUZZ_SECONDS)

# Not after `all`: root has a cache of its own and would get the runtime again.
install: ## install what is built (DESTDIR= and, when building, MESON_FLAGS=--prefix= count)
	@[ -x $(BUILD)/scry ] || $(MAKE) all
	@meson install -C $(BUILD) --no-rebuild

format: ## format the C files as .clang-format says
	@find src include tests bench examples -name '*.[ch]' -exec clang-format -i {} +

clean: ## remove what was built; the runtime and the models stay
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-fuzz

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

# --- what has to be there first; each is quick when it is ---

# What a goal wants of tools/install-deps is asked for in one go: one list for
# people who have to install it by hand, one run of apt for the others.
goal = $(filter $(1),$(MAKECMDGOALS))
groups := build $(if $(call goal,demo check bench),demo) $(if $(call goal,check fuzz format),test)
weights := $(call goal,demo check bench models)

deps:
	@[ "$(DEPS)" = yes ] || exit 0; \
	groups='$(groups)'; \
	[ -z "$(weights)" ] || tools/fetch-models --check 2>/dev/null || groups="$$groups npm"; \
	tools/install-deps $$groups
	@tools/fetch-runtime --quiet

models: deps
	@tools/fetch-models --check 2>/dev/null || tools/fetch-models

format: deps

# Meson configures itself again when its own files change.
$(BUILD)/build.ninja: deps
	@[ -e $@ ] || meson setup $(BUILD) $(MESON_FLAGS)
