# SPDX-License-Identifier: GPL-2.0-only
# Bench of decode, order and model: events per second, bytes per live object.

$B/bench/throughput: bench/throughput.c $(TOOLS_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(TOOLS_A) $(TOOLS_LIBS) -lm

bench-throughput: $B/bench/throughput ## events per second through decode, order and model
	$(Q)$<
	$(Q)$< 10000000 24000000
.PHONY: bench-throughput
