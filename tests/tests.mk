# SPDX-License-Identifier: GPL-2.0-only
# Tests: unit programs (cmocka), end-to-end files (bats), programs to trace.

UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_BIN := $(UNIT_SRC:%.c=$B/%)

$B/tests/unit/%: tests/unit/%.c $(TOOLS_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -I$B/bpf -o $@ $< $(TOOLS_A) -lcmocka -ljansson $(TOOLS_LIBS) -lm -lpthread

unit: $(UNIT_BIN)

# Programs that know what they did.  NAME-plain is the same source without sites.
PROGRAMS := $(patsubst tests/programs/%.c,$B/tests/programs/%,$(wildcard tests/programs/*.c)) \
	$B/tests/programs/leaky-plain

$B/tests/programs/%: tests/programs/%.c $(LIBBSCOPE_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(INC) -MMD -MP $(CFLAGS) -o $@ $< $(LIBBSCOPE_A) -lpthread

$B/tests/programs/%-plain: tests/programs/%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(INC) -MMD -MP $(CFLAGS) -DBSCOPE_DISABLE -o $@ $< -lpthread

programs: $(PROGRAMS)

-include tests/programs/preload/preload.mk
-include tests/proof/proof.mk
-include tests/fuzz/fuzz.mk
-include tests/kernels/kernels.mk

.PHONY: unit programs
