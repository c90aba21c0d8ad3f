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

$B/tests/unit/test_jump: $(JUMP_PROGRAMS)

# Programs with debug information of all kinds (test_names.c).  names_symbols.c has none in any.
NAMES_PROGRAMS := $(addprefix $B/tests/unit/names-,pie no-pie clang dwarf4 compressed sections no-id)
NAMES_LIBRARY  := $B/tests/unit/names-library.so
NAMES_ID = -Wl,--build-id
NAMES_CC = $(CC) -std=gnu11 $(WARN) -O2 -o $@ $(NAMES_FLAGS) tests/unit/names_program.c

$B/tests/unit/names-symbols.o: tests/unit/names_symbols.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) -O2 -g0 -fPIC -c -o $@ $<

$(NAMES_LIBRARY): tests/unit/names_library.cc
	$(call say,CXX,$@)
	@mkdir -p $(@D)
	$(Q)$(CXX) -std=c++17 $(WARN_CXX) -O2 -g -fPIC -shared -Wl,--build-id -o $@ $<

$(NAMES_PROGRAMS): tests/unit/names_program.c $B/tests/unit/names-symbols.o
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(NAMES_CC) $B/tests/unit/names-symbols.o -ldl $(NAMES_ID)

$B/tests/unit/names-pie: NAMES_FLAGS = -g -fPIE -pie
$B/tests/unit/names-no-pie: NAMES_FLAGS = -g -fno-pie -no-pie
# No .debug_aranges.
$B/tests/unit/names-clang: NAMES_FLAGS = -g -fPIE -pie
$B/tests/unit/names-clang: NAMES_CC = $(CLANG) -std=gnu11 $(WARN) -O2 -o $@ $(NAMES_FLAGS) tests/unit/names_program.c
$B/tests/unit/names-dwarf4: NAMES_FLAGS = -gdwarf-4 -fPIE -pie
$B/tests/unit/names-compressed: NAMES_FLAGS = -g -gz=zlib -fPIE -pie
$B/tests/unit/names-no-id: NAMES_FLAGS = -g -fPIE -pie
$B/tests/unit/names-no-id: NAMES_ID = -Wl,--build-id=none
# What the linker removed is in the debug information, at address 0.
$B/tests/unit/names-sections: NAMES_FLAGS = -g -fPIE -pie -DNAMES_REMOVED -ffunction-sections -Wl,--gc-sections

$B/tests/unit/test_names: $(NAMES_PROGRAMS) $(NAMES_LIBRARY)

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
