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

# A program that knows its own stack, in all ways that make a difference to its frames (test_unwind.c).
UNWIND_FLAGS = -std=gnu11 $(WARN) $(INC) -O2 -fomit-frame-pointer
UNWIND_PROGRAMS := $(addprefix $B/tests/unit/unwind-,gcc gcc-O0 gcc-O3 clang gxx clangxx no-pie static \
	stripped debug-frame none library.so)

$(UNWIND_PROGRAMS): tests/unit/unwind_program.c tests/unit/unwind_program.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(UNWIND_CC) -o $@ $< -lpthread

$B/tests/unit/unwind-gcc: UNWIND_CC = gcc $(UNWIND_FLAGS)
$B/tests/unit/unwind-gcc-O0: UNWIND_CC = gcc $(UNWIND_FLAGS) -O0 -fno-omit-frame-pointer
$B/tests/unit/unwind-gcc-O3: UNWIND_CC = gcc $(UNWIND_FLAGS) -O3 -march=x86-64-v3 -fno-plt
$B/tests/unit/unwind-clang: UNWIND_CC = $(CLANG) $(UNWIND_FLAGS)
$B/tests/unit/unwind-gxx: UNWIND_CC = g++ -x c++ $(filter-out -std=% -Wstrict-prototypes -Wmissing-prototypes,$(UNWIND_FLAGS))
$B/tests/unit/unwind-clangxx: UNWIND_CC = $(CLANG)++ -x c++ $(filter-out -std=% -Wstrict-prototypes -Wmissing-prototypes,$(UNWIND_FLAGS))
$B/tests/unit/unwind-no-pie: UNWIND_CC = gcc $(UNWIND_FLAGS) -fno-pie -no-pie
$B/tests/unit/unwind-static: UNWIND_CC = gcc $(UNWIND_FLAGS) -static
$B/tests/unit/unwind-stripped: UNWIND_CC = gcc $(UNWIND_FLAGS) -s
$B/tests/unit/unwind-library.so: UNWIND_CC = gcc $(UNWIND_FLAGS) -fPIC -shared
$B/tests/unit/unwind-debug-frame: UNWIND_CC = gcc $(UNWIND_FLAGS) -g -fno-asynchronous-unwind-tables

$B/tests/unit/unwind-none: UNWIND_CC = gcc $(UNWIND_FLAGS) -fno-asynchronous-unwind-tables

# Stripped, with a separate debug file.
$B/tests/unit/unwind-split: $B/tests/unit/unwind-debug-frame
	$(call say,STRIP,$@)
	$(Q)objcopy --only-keep-debug $< $@.debug
	$(Q)strip -o $@ $<
	$(Q)cd $(@D) && objcopy --add-gnu-debuglink=unwind-split.debug unwind-split

$B/tests/unit/unwind-hostile.so: tests/unit/unwind_hostile.S
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)gcc -shared -fuse-ld=lld -Wl,--no-eh-frame-hdr -o $@ $<

$B/tests/unit/test_unwind $B/tests/unit/test_unwind_hostile: $(UNWIND_PROGRAMS)
$B/tests/unit/test_unwind: $B/tests/unit/unwind-split
$B/tests/unit/test_unwind_hostile: $B/tests/unit/unwind-hostile.so

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

TREE_OMIT := $(addprefix $B/tests/programs/tree-omit-,gcc clang cxx static)
# Programs that know what they did.  NAME-plain is the same source without sites.
PROGRAMS := $(patsubst tests/programs/%.c,$B/tests/programs/%,$(wildcard tests/programs/*.c)) \
	$B/tests/programs/leaky-plain $B/tests/programs/tree-clang $B/tests/programs/tree-cxx \
	$(TREE_OMIT)

$B/tests/programs/%: tests/programs/%.c $(LIBBSCOPE_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(INC) -MMD -MP $(CFLAGS) -o $@ $< $(LIBBSCOPE_A) -lpthread

$B/tests/programs/%-plain: tests/programs/%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(INC) -MMD -MP $(CFLAGS) -DBSCOPE_DISABLE -o $@ $< -lpthread

# Whose stacks are taken.
STACKS_CFLAGS := -O2 -g -fno-omit-frame-pointer
$B/tests/programs/tree: private CFLAGS += $(STACKS_CFLAGS)

# Without frame pointers: for call frame information.
$(TREE_OMIT): tests/programs/tree.c $(LIBBSCOPE_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(TREE_CC) $(INC) -O2 -fomit-frame-pointer -o $@ $< -x none $(LIBBSCOPE_A) -lpthread
$B/tests/programs/tree-omit-gcc: TREE_CC = gcc -std=gnu11
$B/tests/programs/tree-omit-clang: TREE_CC = $(CLANG) -std=gnu11
$B/tests/programs/tree-omit-cxx: TREE_CC = g++ -x c++ -std=c++17
$B/tests/programs/tree-omit-static: TREE_CC = gcc -std=gnu11 -static

$B/tests/programs/tree-clang: tests/programs/tree.c $(LIBBSCOPE_A)
	$(call say,CC,$@)
	$(Q)$(CLANG) -std=gnu11 $(WARN) $(INC) $(STACKS_CFLAGS) -o $@ $< $(LIBBSCOPE_A)

$B/tests/programs/tree-cxx: tests/programs/tree.c $(LIBBSCOPE_A)
	$(call say,CXX,$@)
	$(Q)$(CXX) -std=c++17 -x c++ $(WARN_CXX) $(INC) $(STACKS_CFLAGS) -o $@ $< -x none $(LIBBSCOPE_A)

# No assembler takes such names; debug information would have the others.
$B/tests/programs/hostile: tests/programs/hostile.c $(LIBBSCOPE_A)
	$(call say,CC,$@)
	$(Q)$(CC) -std=gnu11 $(WARN) $(INC) -MMD -MP $(STACKS_CFLAGS) -g0 -o $@ $< $(LIBBSCOPE_A)
	$(Q)objcopy --redefine-sym innermost="$$(printf 'f<g>&"\047;\\ 9\n\033[35m\377\033]0;y\007')" \
		--redefine-sym middle="$$(printf '</title><script>alert(1)</script>\n#')" $@

# Draws; it is no program to trace.
$B/tests/programs/compared: tests/programs/compared.c $(TOOLS_A)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(TOOLS_A) $(TOOLS_LIBS) -lm -lpthread

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
