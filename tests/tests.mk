# SPDX-License-Identifier: GPL-2.0-only
# Tests: unit programs (cmocka), end-to-end files (bats), programs to trace.

UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_BIN := $(UNIT_SRC:%.c=$B/%)

$B/tests/unit/%: tests/unit/%.c $(TOOLS_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -I$B/bpf -o $@ $< $(TOOLS_A) -lcmocka -ljansson $(TOOLS_LIBS) -lm -lpthread

# The same program, linked in all ways that make a difference to its stubs (test_jump.c).
JUMP_CC = $(CC) -std=gnu11 $(WARN) $(INC) $(CFLAGS) -o $@ tests/unit/jump_program.c
JUMP_SHARED = $(abspath $(LIBBSCOPE_SO)) -Wl,-rpath,$(abspath $B)
JUMP_PROGRAMS := $(addprefix $B/tests/unit/jump-,pie no-pie static shared library none)

$B/tests/unit/jump-library.so: tests/unit/jump_program.c $(LIBBSCOPE_SO)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(JUMP_CC) -DJUMP_LIBRARY -fPIC -shared $(JUMP_SHARED)

$(JUMP_PROGRAMS): tests/unit/jump_program.c $(LIBBSCOPE_A) $(LIBBSCOPE_SO) $B/tests/unit/jump-library.so
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(JUMP_CC) $(JUMP_LINK)

$B/tests/unit/jump-pie: JUMP_LINK = -fPIE -pie $(LIBBSCOPE_A)
$B/tests/unit/jump-no-pie: JUMP_LINK = -fno-pie -no-pie $(LIBBSCOPE_A)
$B/tests/unit/jump-static: JUMP_LINK = -static $(LIBBSCOPE_A)
$B/tests/unit/jump-shared: JUMP_LINK = $(JUMP_SHARED)
$B/tests/unit/jump-library: JUMP_LINK = -DJUMP_MAIN_ONLY $(abspath $B)/tests/unit/jump-library.so $(JUMP_SHARED)
$B/tests/unit/jump-none: JUMP_LINK = -DBSCOPE_NO_RUNTIME

$B/tests/unit/test_jump $B/tests/unit/test_overhead: $(JUMP_PROGRAMS)

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

# Programs with ownership errors that they state themselves, and correct ones: tests/e2e/corpus.bats.
CORPUS := $(patsubst %.c,$B/%,$(wildcard tests/corpus/*.c)) \
	$(patsubst %.cc,$B/%,$(wildcard tests/corpus/*.cc))

$B/tests/corpus/%: tests/corpus/%.c $(LIBBSCOPE_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(INC) -MMD -MP $(CFLAGS) $(EXTRA) -o $@ $< $(LIBBSCOPE_A) -lpthread

$B/tests/corpus/%: tests/corpus/%.cc $(LIBBSCOPE_A)
	$(call say,CXX,$@)
	@mkdir -p $(@D)
	$(Q)$(CXX) -std=c++17 $(WARN_CXX) $(INC) -MMD -MP $(CFLAGS) $(EXTRA) -o $@ $< $(LIBBSCOPE_A) -lpthread

corpus: $(CORPUS)

programs: $(PROGRAMS) $(CORPUS)

-include tests/programs/preload/preload.mk
-include tests/proof/proof.mk
-include tests/cycles/cycles.mk
-include tests/fuzz/fuzz.mk
-include tests/kernels/kernels.mk

.PHONY: unit programs corpus
