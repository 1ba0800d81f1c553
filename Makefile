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
	@$(call need,demo)
	@BUILD=$(BUILD) tools/demo

check: models all ## run every check and test; ends with 'N passed, N failed'
	@$(call need,demo test)
	@BUILD=$(BUILD) tools/check

bench: models all ## measure cost and speed
	@$(call need,demo)
	@meson test -C $(BUILD) --benchmark --verbose --no-rebuild

fuzz: all ## fuzz every parser for FUZZ_SECONDS each
	@$(call need,test)
	@tools/fuzz $(FUZZ_SECONDS)

install: all ## install (DESTDIR= and MESON_FLAGS=--prefix= are honoured)
	@meson install -C $(BUILD) --no-rebuild

format: ## format the C files as .clang-format says
	@$(call need,test)
	@find src include tests bench examples -name '*.[ch]' -exec clang-format -i {} +

clean: ## remove what was built; the runtime and the models stay
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-fuzz

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

# --- what has to be there first; each is quick when it is ---

need = if [ "$(DEPS)" = yes ]; then tools/install-deps $(1); fi

deps:
	@$(call need,build)
	@tools/fetch-runtime --quiet

models: deps
	@tools/fetch-models --check 2>/dev/null || { $(call need,npm); tools/fetch-models; }

# Meson configures itself again when its own files change.
$(BUILD)/build.ninja: deps
	@[ -e $@ ] || meson setup $(BUILD) $(MESON_FLAGS)
