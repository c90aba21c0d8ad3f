# SPDX-License-Identifier: GPL-2.0-only
# Benches: each prints what it measured and against what; none is a test.

$B/bench/%.bpf.o: bench/%.bpf.c
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra $(if $(WERROR),-Werror) \
		-Ivmlinux -Iinclude -I. $(if $(MULTIARCH),-I/usr/include/$(MULTIARCH)) -MMD -MP -MT $@ \
		-c $< -o $@

$B/bench/%.skel.h: $B/bench/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$B/bench/hit_cost: $B/bench/hit_cost_empty.skel.h
$B/bench/hit_cost $B/bench/attach $B/bench/symbols: $B/bench/%: bench/%.c $(TOOLS_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -I$B/bench -MT $@ -o $@ $< $(TOOLS_A) $(TOOLS_LIBS) -lm

$B/bench/detached $B/bench/pair: $B/bench/%: bench/%.c $(LIBBSCOPE_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(INC) -MMD -MP -O2 -falign-loops=64 -o $@ $< $(LIBBSCOPE_A)

# Loops must not differ by where they lie.
$B/bench/record_cost: bench/record_cost.c $(TOOLS_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -falign-loops=64 -MT $@ -o $@ $< $(TOOLS_A) $(TOOLS_LIBS) -lpthread

$B/bench/pause: bench/pause.c $(TOOLS_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MT $@ -o $@ $< $(TOOLS_A) $(TOOLS_LIBS) -lpthread

$B/bench/unwind: bench/unwind.c $(TOOLS_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MT $@ -o $@ $< $(TOOLS_A) $(TOOLS_LIBS)

bench-detached: $B/bench/detached ## a loop with a site nobody looks at, and without
	$(Q)$<
bench-preload: $B/bench/pair $(PRELOAD_SO) ## malloc and free under the idle preload library
	$(Q)sh bench/preload.sh $B/bench/pair $(abspath $(PRELOAD_SO))
bench-hit-cost: $B/bench/hit_cost ## a hit against an empty program on the same uprobe
	$(Q)$<
bench-attach: $B/bench/attach ## lighting and darkening 2,000 sites
	$(Q)$<
bench-record-cost: $B/bench/record_cost ## an event recorded by a jump against clock and store alone
	$(Q)$<
bench-pause: $B/bench/pause ## how long a process stands still while its sites are lit by jumps
	$(Q)$<
bench-unwind: $B/bench/unwind $B/tests/unit/unwind-gcc ## stacks per second by call frame information
	$(Q)$< $(word 2,$^)
bench-redis: $B/bscope-trace $(PRELOAD_SO) ## redis-server's throughput plain, preloaded, traced
	$(Q)BUILD=$B sh bench/redis.sh

# A program with debug information; see bench/symbols.sh for redis-server.
SYMBOLS_FILE ?= $B/bscope-trace
bench-symbols: $B/bench/symbols $B/bscope-trace ## names of 100,000 addresses against eu-addr2line
	$(Q)sh bench/symbols.sh $B/bench/symbols $(SYMBOLS_FILE)

bench-overhead: $B/bscope-trace $B/tests/programs/steady ## what --max-overhead=1 really costs
	$(Q)BUILD=$B sh bench/overhead.sh

bench-overhead-share: $B/bscope-trace $B/tests/programs/known ## whether the share that --overhead states is true
	$(Q)BUILD=$B sh bench/overhead_share.sh

bench-heaptrack: $B/bscope-trace $(PRELOAD_SO) ## who holds redis-server's memory, beside heaptrack's answer
	$(Q)BUILD=$B sh bench/heaptrack.sh

# All that benches run; "make check" builds them, that they follow what they measure.
bench-programs: $(addprefix $B/bench/,detached pair hit_cost attach record_cost pause unwind symbols \
	throughput sampling recorder.so)

bench: bench-detached bench-preload bench-record-cost bench-hit-cost bench-attach bench-pause \
	bench-unwind bench-throughput ## all but bench-redis, -overhead, -overhead-share, -symbols and -heaptrack
.PHONY: bench bench-programs bench-detached bench-preload bench-hit-cost bench-attach bench-record-cost \
	bench-pause bench-unwind bench-redis bench-overhead bench-overhead-share bench-symbols \
	bench-heaptrack
