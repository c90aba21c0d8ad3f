# SPDX-License-Identifier: GPL-2.0-only
# Bench of estimates: how often the truth of recorded runs lies within their intervals.

$B/bench/recorder.so: bench/recorder.c $B/runtime/preload/real.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(filter-out -Wmissing-prototypes,$(WARN)) $(INC) -MMD -MP $(CFLAGS) -fPIC -fvisibility=hidden \
		-fno-builtin -shared -Wl,-z,now -o $@ bench/recorder.c $B/runtime/preload/real.o -ldl

# What the runtime does, compiled as it is.
$B/bench/chosen.o: bench/chosen.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(INC) -MMD -MP $(CFLAGS) $(RUNTIME_FLAGS) -c -o $@ $<

SAMPLING_SRC := $(addprefix bench/,sampling.c told.c trace.c trace_made.c)
$B/bench/sampling: $(SAMPLING_SRC) $B/bench/chosen.o $(TOOLS_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $(SAMPLING_SRC) $B/bench/chosen.o $(TOOLS_A) -lm

bench-sampling: $B/bench/sampling $B/bench/recorder.so ## estimates from samples of recorded runs of sqlite3, redis-server, python3
	$(Q)BUILD=$B sh bench/sampling.sh
.PHONY: bench-sampling
