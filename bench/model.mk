# SPDX-License-Identifier: GPL-2.0-only
# Bench of order and model: events per second, bytes per live object.

$B/bench/model: bench/model.c $(TOOLS_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(TOOLS_A) $(TOOLS_LIBS) -lm

bench-model: $B/bench/model ## events per second through order and model
	$(Q)$<
.PHONY: bench-model
