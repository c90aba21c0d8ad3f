# SPDX-License-Identifier: GPL-2.0-only
# bscope: who owns what in a running program.  `make help` lists the targets.

VERSION   := 0.1.0
SOVERSION := 0

# What a packager sets.
DESTDIR    ?=
prefix     ?= /usr/local
bindir     ?= $(prefix)/bin
includedir ?= $(prefix)/include
libdir     ?= $(prefix)/lib
mandir     ?= $(prefix)/share/man
docdir     ?= $(prefix)/share/doc/bscope
datadir    ?= $(prefix)/share/bscope
CLANG      ?= clang
PKG_CONFIG ?= pkg-config
BPFTOOL    ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool) bpftool)
CFLAGS     ?= -O2 -g
# WERROR=1 makes warnings errors (CI).
WERROR     ?=
V          ?=

B := build
Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-8s %s\n' '$(1)' '$(2)')

ARCH := $(shell uname -m)
BPF_ARCH := $(patsubst x86_64,x86,$(patsubst aarch64,arm64,$(ARCH)))
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)

WARN := -Wall -Wextra -Wshadow -Wundef -Wvla -Wstrict-prototypes -Wmissing-prototypes \
	$(if $(WERROR),-Werror)
INC := -Iinclude -I. -Itools
# $(EXTRA) is for sanitizers and coverage: it reaches every compilation and link of our own code.
EXTRA ?=
ALL_CFLAGS = -std=gnu11 $(WARN) $(INC) -MMD -MP $(CFLAGS) $(EXTRA)

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

all: runtime tools

# --- runtime: what runs inside the program; see runtime/record.c -------------------------------

RUNTIME_FLAGS := -fPIC -fvisibility=hidden -fno-lto -fno-stack-protector \
	$(if $(filter x86_64,$(ARCH)),-mgeneral-regs-only)
RUNTIME_SRC := $(wildcard runtime/*.c)
RUNTIME_OBJ := $(RUNTIME_SRC:%.c=$B/%.o)
PRELOAD_SRC := $(wildcard runtime/preload/*.c)
PRELOAD_OBJ := $(PRELOAD_SRC:%.c=$B/%.o)

LIBBSCOPE_SO := $B/libbscope.so.$(SOVERSION)
LIBBSCOPE_A  := $B/libbscope.a
PRELOAD_SO   := $B/libbscope-preload.so

runtime: $(LIBBSCOPE_SO) $(LIBBSCOPE_A) $(PRELOAD_SO) $B/bscope.pc

# The runtime and the preload library keep their own flags: a sanitizer inside them would be
# code on the probe path.
$B/runtime/%.o: runtime/%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) $(INC) -MMD -MP $(CFLAGS) $(RUNTIME_FLAGS) -c -o $@ $<

$(LIBBSCOPE_SO): $(RUNTIME_OBJ) runtime/libbscope.map
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -fno-lto -Wl,-soname,libbscope.so.$(SOVERSION) \
		-Wl,--version-script=runtime/libbscope.map -Wl,-z,defs -Wl,-z,now -o $@ $(RUNTIME_OBJ)
	$(Q)ln -sf libbscope.so.$(SOVERSION) $B/libbscope.so

$(LIBBSCOPE_A): $(RUNTIME_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# The allocation functions are these themselves: the compiler must not assume what they do.
$(PRELOAD_OBJ): RUNTIME_FLAGS += -fno-builtin

$(PRELOAD_SO): $(PRELOAD_OBJ) $(RUNTIME_OBJ) runtime/preload/libbscope-preload.map
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -fno-lto -Wl,-soname,libbscope-preload.so \
		-Wl,--version-script=runtime/preload/libbscope-preload.map -Wl,-z,defs -Wl,-z,now \
		-o $@ $(PRELOAD_OBJ) $(RUNTIME_OBJ) -ldl

$B/bscope.pc: runtime/bscope.pc.in Makefile
	@mkdir -p $(@D)
	$(Q)sed -e 's|@prefix@|$(prefix)|; s|@includedir@|$(includedir)|; s|@libdir@|$(libdir)|' \
		-e 's|@VERSION@|$(VERSION)|' $< > $@

# --- bpf ---------------------------------------------------------------------------------------

BPF_SRC  := $(wildcard bpf/*.bpf.c)
BPF_SKEL := $(BPF_SRC:bpf/%.bpf.c=$B/bpf/%.skel.h)

$B/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -Wall -Wextra $(if $(WERROR),-Werror) \
		-Ivmlinux -Iinclude -I. $(if $(MULTIARCH),-I/usr/include/$(MULTIARCH)) -MMD -MP -MT $@ \
		-c $< -o $@

$B/bpf/%.skel.h: $B/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

# --- tools: every stage but the mains in one private archive --------------------------------

TOOL_MAINS := tools/bscope-trace/main.c
TOOLS_SRC  := $(filter-out $(TOOL_MAINS),$(wildcard tools/*/*.c))
TOOLS_OBJ  := $(TOOLS_SRC:%.c=$B/%.o)
TOOLS_A    := $B/libbscope-tools.a
BINS       := $B/bscope-trace
TOOLS_LIBS = $(shell $(PKG_CONFIG) --libs libbpf libelf zlib)
TOOLS_LIBS_STATIC = $(shell $(PKG_CONFIG) --static --libs libbpf libelf zlib)

tools: $(BINS)

# libbpf's header and the skeletons are for collect alone; that keeps the other stages honest.
$B/tools/collect/%.o: ALL_CFLAGS += -I$B/bpf
$B/tools/collect/%.o: $(BPF_SKEL)

$B/tools/%.o: tools/%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -DBSCOPE_VERSION='"$(VERSION)"' -DBSCOPE_LIBDIR='"$(libdir)"' -c -o $@ $<

$(TOOLS_A): $(TOOLS_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$B/bscope-trace: $B/tools/bscope-trace/main.o $(TOOLS_A)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(EXTRA) $(LDFLAGS) -o $@ $^ $(TOOLS_LIBS)

static: $B/bscope-trace.static ## one static binary for hosts without compilers
$B/bscope-trace.static: $B/tools/bscope-trace/main.o $(TOOLS_A)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -static -o $@ $^ $(TOOLS_LIBS_STATIC)

# --- tests ---------------------------------------------------------------------------------------

include tests/tests.mk

.PHONY: all runtime tools static
-include $(shell find $B -name '*.d' 2>/dev/null)
