# SPDX-License-Identifier: GPL-2.0-only
# Tests: unit programs (cmocka), end-to-end files (bats), programs to trace.

UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_BIN := $(UNIT_SRC:%.c=$B/%)

$B/tests/unit/%: tests/unit/%.c $(TOOLS_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -I$B/bpf -o $@ $< $(TOOLS_A) -lcmocka $(TOOLS_LIBS) -lm

unit: $(UNIT_BIN)
.PHONY: unit
