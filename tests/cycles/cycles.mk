# SPDX-License-Identifier: GPL-2.0-only
# Tools for tests: cycle (attaches and lets go, over and over) and careless (does it wrongly).

CYCLES := $B/tests/cycles/cycle $B/tests/cycles/careless

# Of the tools, only what finds and patches.
CYCLES_OBJ := $(filter $B/tools/base/% $B/tools/target/%,$(TOOLS_OBJ))

$B/tests/cycles/%: tests/cycles/%.c tests/cycles/switches.c $(CYCLES_OBJ)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< tests/cycles/switches.c $(CYCLES_OBJ) $(TOOLS_LIBS) -lpthread

programs: $(CYCLES)
