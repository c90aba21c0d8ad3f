# SPDX-License-Identifier: GPL-2.0-only
# Fuzz harnesses: fuzz_NAME.c each, seeds and old crashes in corpus/NAME.
#
#   make fuzz FUZZ_SECONDS=60   new inputs, with libFuzzer (clang, libclang-rt-14-dev)
#   make fuzz-replay            the corpus alone, with any compiler; part of make check

FUZZ_SECONDS ?= 20
FUZZ_NAMES   := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SRC     := $(wildcard tools/base/*.c tools/target/*.c tools/decode/*.c tools/order/*.c \
	tools/collect/buffers*.c tools/flame/*.c tools/symbol/wire.c tools/render/utf8.c tools/render/text.c tools/render/human.c tools/unwind/step.c)
FUZZ_DEPS    := $(FUZZ_SRC) $(wildcard tools/base/*.h tools/target/*.h tools/decode/*.h tools/order/*.h \
	bpf/event.h include/bscope/*.h tools/collect/buffers*.h tools/flame/*.h tools/symbol/*.h tools/render/*.h tools/unwind/*.h) $(FLAME_TEXT)
FUZZ_REPLAY  := $(FUZZ_NAMES:%=$B/tests/fuzz/replay_%)

$B/tests/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_DEPS)
	$(call say,FUZZCC,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -std=gnu11 $(WARN) $(INC) -I$B -g -O1 -fno-omit-frame-pointer \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $< $(FUZZ_SRC) -lm

$B/tests/fuzz/replay_%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(FUZZ_DEPS)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(INC) -I$B $(CFLAGS) $(EXTRA) -DCORPUS='"tests/fuzz/corpus/$*"' \
		-o $@ $< tests/fuzz/replay.c $(FUZZ_SRC) -lm

fuzz-run-%: $B/tests/fuzz/fuzz_%
	$(call say,FUZZ,$*)
	@mkdir -p $B/tests/fuzz/corpus/$*
	$(Q)$B/tests/fuzz/fuzz_$* -max_total_time=$(FUZZ_SECONDS) -max_len=16384 -timeout=10 \
		-print_final_stats=1 -artifact_prefix=$B/tests/fuzz/$*- \
		$B/tests/fuzz/corpus/$* tests/fuzz/corpus/$* > $B/tests/fuzz/$*.log 2>&1 || \
		{ tail -50 $B/tests/fuzz/$*.log; exit 1; }
	$(Q)sed -n 's/^stat::number_of_executed_units: */           inputs: /p' $B/tests/fuzz/$*.log

fuzz: $(FUZZ_NAMES:%=fuzz-run-%) ## new inputs for every parser of foreign bytes

fuzz-replay: $(FUZZ_REPLAY)
	$(Q)for t in $(FUZZ_REPLAY); do $$t > $$t.tap || { cat $$t.tap; exit 1; }; done

.PHONY: fuzz fuzz-replay
