#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-only
#
# check.pl - proves from the outside what sites left in a binary, and what they cost.
#
#	check.pl [OPTIONS] WITH WITHOUT SOURCE...
#
#	--optimised    functions named reg_* must have the same instructions as without sites
#	--icf          the linker was to fold functions: it must not fold different sites
#	--static       compare functions with sites alone, not all of libc
#	--no-runtime   built with BSCOPE_NO_RUNTIME: there must be no stubs
#	--aligned      built with BSCOPE_ALIGNED: no site may leave its 16 bytes
#	--file=NAME    what __FILE__ was
#	--label=TEXT   first column of the result
#	--verbose      list the functions that have other instructions
#
# WITH is a linked program or library, WITHOUT the same one built with BSCOPE_DISABLE, the
# SOURCEs say in comments (shared.h) which sites there are.  Nothing of bscope's own code is
# used: records are decoded here, notes come from readelf, instructions from objdump.
#
# Needs perl-base and binutils.  Exit status 1 and a line per finding when something is wrong.

use strict;
use warnings;

my (%opt, @args);
for (@ARGV) {
	if (/^--(optimised|verbose|icf|no-runtime|static|aligned)$/) { $opt{$1} = 1 }
	elsif (/^--(file|label)=(.*)$/s) { $opt{$1} = $2 }
	else { push @args, $_ }
}
my ($with, $without, @sources) = @args;
die "usage: check.pl [OPTIONS] WITH WITHOUT SOURCE...\n" unless @sources;

my @KIND = qw(- new drop resize_begin resize_end move borrow borrow_mut unborrow retain release
	      use region_enter region_exit);
my $errors = 0;

sub wrong
{
	my $text = join '', @_;
	print "  WRONG: $text\n" if $errors < 20;
	print "  ...\n" if $errors++ == 20;
}

# --- what the sources promise -------------------------------------------------------------------

sub expectations
{
	my %want;
	for my $source (@_) {
		open my $in, '<', $source or die "$source: $!\n";
		my ($file, $line) = ($source, 0);
		while (<$in>) {
			chomp;
			$line++;
			if (/^#line (\d+)(?: "(.*)")?$/) {
				$line = $1 - 1;
				($file = $2) =~ s/\\(.)/$1/g if defined $2;
				next;
			}
			next unless m{//@ (.*)$};
			for my $one (split / @@ /, $1) {
				my ($kind, $class, $nargs, $flags, $name) =
					$one =~ /^(\w+):(.*?):(\d):(\d):(.*)$/ or die "$source: $_\n";
				my $place = $opt{file} // $file;
				$want{"$kind|$class|$nargs|$flags|$name|$place|$line"} = $class;
			}
		}
	}
	return \%want;
}

# --- ELF ----------------------------------------------------------------------------------------

sub elf_read
{
	my ($path) = @_;
	open my $in, '<:raw', $path or die "$path: $!\n";
	local $/;
	my $data = <$in>;
	my ($shoff) = unpack 'Q<', substr $data, 40, 8;
	my ($shentsize, $shnum, $shstrndx) = unpack 'v3', substr $data, 58, 6;
	my @sections;
	for my $i (0 .. $shnum - 1) {
		my %s;
		@s{qw(name type flags addr offset size link info align entsize)} =
			unpack 'V2 Q<4 V2 Q<2', substr $data, $shoff + $i * $shentsize, 64;
		push @sections, \%s;
	}
	my $names = $sections[$shstrndx]{offset};
	$_->{name} = unpack 'Z*', substr $data, $names + $_->{name} for @sections;
	my $elf = { path => $path, data => $data, sections => \@sections };
	$elf->{fixed} = unpack('v', substr $data, 16, 2) == 2;
	for my $s (grep { $_->{type} == 2 } @sections) {
		my $strings = $sections[ $s->{link} ]{offset};
		for (my $o = 0; $o < $s->{size}; $o += 24) {
			my ($name, $info, $other, $shndx, $value, $size) =
				unpack 'V C2 v Q<2', substr $data, $s->{offset} + $o, 24;
			next unless $shndx;
			push @{ $elf->{symbols} },
				{ name => unpack('Z*', substr $data, $strings + $name),
				  type => $info & 15, addr => $value, size => $size };
		}
	}
	return $elf;
}

sub section
{
	my ($elf, $name) = @_;
	my ($s) = grep { $_->{name} eq $name } @{ $elf->{sections} };
	return $s;
}

# Bytes at a link-time address.
sub bytes
{
	my ($elf, $addr, $n) = @_;
	for my $s (@{ $elf->{sections} }) {
		next unless $s->{flags} & 2;
		next unless $addr >= $s->{addr} && $addr < $s->{addr} + $s->{size};
		return "\0" x $n if $s->{type} == 8;
		return substr $elf->{data}, $s->{offset} + $addr - $s->{addr}, $n;
	}
	return '';
}

sub symbol
{
	my ($elf, $name) = @_;
	my ($s) = grep { $_->{name} eq $name } @{ $elf->{symbols} };
	return $s ? $s->{addr} : 0;
}

sub instructions
{
	my ($elf) = @_;
	my %at;
	open my $in, '-|', 'objdump', '-d', '--no-show-raw-insn', $elf->{path} or die "objdump: $!\n";
	while (<$in>) {
		$at{ hex $1 } = $2 if /^\s*([0-9a-f]+):\t(.*?)\s*$/;
	}
	close $in or die "objdump $elf->{path}\n";
	$elf->{at} = \%at;
	$elf->{order} = [ sort { $a <=> $b } keys %at ];
	my $n = 0;
	$elf->{rank} = { map { $_ => $n++ } @{ $elf->{order} } };
}

sub notes
{
	my ($elf) = @_;
	my (@notes, $note);
	open my $in, '-|', "LC_ALL=C readelf -n '$elf->{path}'" or die "readelf: $!\n";
	while (<$in>) {
		if (/^\s+Provider: (.*)$/) { push @notes, $note = { provider => $1 } }
		elsif (/^\s+Name: (.*)$/) { $note->{name} = $1 }
		elsif (/^\s+Location: 0x(\w+), Base: 0x(\w+), Semaphore: 0x(\w+)/) {
			@$note{qw(location base semaphore)} = (hex $1, hex $2, hex $3);
		} elsif (/^\s+Arguments: (.*)$/) { $note->{arguments} = $1 }
	}
	close $in or die "readelf $elf->{path}\n";
	# Not those of the runtime itself, where it is linked in.
	return grep { $_->{provider} eq 'bscope' && $_->{name} !~ /^(batch|buffer|stack)$/ } @notes;
}

# --- records, notes, nops, stubs -------------------------------------------------------------------

sub sites
{
	my ($elf) = @_;
	my $s = section($elf, 'bscope_sites') or return;
	wrong("size of bscope_sites: $s->{size}") if $s->{size} % 32;
	my @sites;
	for (my $addr = $s->{addr}; $addr < $s->{addr} + $s->{size}; $addr += 32) {
		my %r = (addr => $addr);
		my @off;
		(@off[ 0 .. 4 ], @r{qw(line kind nargs flags abi index)}) =
			unpack 'l<5 V C4 V', bytes($elf, $addr, 32);
		@r{qw(probe stub class name file)} = map { $addr + 4 * $_ + $off[$_] } 0 .. 4;
		$r{$_} = unpack 'Z*', bytes($elf, $r{$_}, 65536) for qw(class name file);
		push @sites, \%r;
	}
	return @sites;
}

sub check_site
{
	my ($elf, $site, $note, $what) = @_;
	my $at = $elf->{at};
	my $probe = $site->{probe};

	wrong("$what: abi $site->{abi}, index $site->{index}") if $site->{abi} != 1 || $site->{index};
	my $hex = join ' ', map { sprintf '%02x', $_ } unpack 'C*', bytes($elf, $probe, 7);
	wrong("$what: bytes $hex") if $hex ne '90 66 0f 1f 44 00 00';
	wrong("$what: disassembly ", $at->{$probe} // '-')
		if ($at->{$probe} // '') ne 'nop' ||
			($at->{ $probe + 1 } // '') !~ /^nopw\s+0x0\(%rax,%rax,1\)$/ ||
			!exists $at->{ $probe + 7 };

	wrong("$what: at ", $probe % 16, " of 16 bytes") if $opt{aligned} && $probe % 16 > 9;

	if (!$note) {
		wrong("$what: no note");
	} else {
		wrong("$what: note says $note->{name}") if $note->{name} ne $KIND[ $site->{kind} ];
		my @arguments = split / /, $note->{arguments};
		my $count = $site->{nargs};
		$count = 2 if $KIND[ $site->{kind} ] eq 'new' && $count < 2;
		wrong("$what: arguments $note->{arguments}")
			if @arguments != $count ||
				grep { !/^8@(\$-?\d+|%r(?!sp|ip)([a-ds][xipl]|bp|\d+))$/ } @arguments;
		wrong("$what: size $arguments[1]")
			if $count == 2 && $site->{nargs} == 1 && $arguments[1] ne '8@$0';
		wrong("$what: semaphore") if !$note->{semaphore} ||
			$note->{semaphore} != symbol($elf, 'bscope_semaphore');
		my $base = section($elf, '.stapsdt.base');
		wrong("$what: base") if !$base || $note->{base} != $base->{addr};
	}

	if ($opt{'no-runtime'}) {
		wrong("$what: has a stub") if $site->{stub} != $site->{addr} + 4;
		return;
	}
	# The stub: names this record, calls the entry for so many operands, comes back.
	my ($pc, @stub) = ($site->{stub});
	my $i = $elf->{rank}{$pc};
	while (defined $i) {
		push @stub, $at->{ $elf->{order}[ $i++ ] };
		last if $stub[-1] =~ /^jmp/ || @stub > 40;
	}
	my $text = join '; ', @stub;
	my $entry = 'bscope_record' . ($site->{nargs} > 1 ? $site->{nargs} : '');
	my $record = sprintf '%x', $site->{addr};
	my $back = sprintf '%x', $probe + 7;
	wrong("$what: stub $text")
		if $text !~ /^lea\s+-0x80\(%rsp\),%rsp; push\s+%rdi; push\s+%rsi; / ||
			$text !~ /; lea\s+\S+\(%rip\),%rdi\s+# $record / ||
			$text !~ /; pop\s+%rsi; pop\s+%rdi; lea\s+0x80\(%rsp\),%rsp; jmp\s+$back / ||
			($text !~ /; call\s+\*\S+\(%rip\)\s+# [0-9a-f]+ <$entry(@|>)/ &&
			 $text !~ /; addr32 call [0-9a-f]+ <$entry>/);
	return;
}

# --- the functions around them ------------------------------------------------------------------

sub functions
{
	my ($elf) = @_;
	my (%functions, %seen);
	for my $f (sort { $a->{addr} <=> $b->{addr} } @{ $elf->{symbols} }) {
		next unless $f->{type} == 2 && $f->{size};
		(my $name = $f->{name}) =~ s/\.(lto_priv|llvm)\.\d+//;
		$functions{ $name . '#' . $seen{$name}++ } = $f;
	}
	return \%functions;
}

# The instructions of a function without nops and without addresses: comparable between builds.
sub body
{
	my ($elf, $f, $labels) = @_;
	my $end = $f->{addr} + $f->{size};
	my @pcs;
	for (my $i = $elf->{rank}{ $f->{addr} }; defined $i && $i < @{ $elf->{order} }; $i++) {
		last if $elf->{order}[$i] >= $end;
		push @pcs, $elf->{order}[$i];
	}
	my (%index, @body, @calls);
	my $n = 0;
	for my $pc (@pcs) {
		$index{$pc} = $n;
		$n++ if $elf->{at}{$pc} !~ /^(data16 |cs )*nop|^xchg\s+%ax,%ax/;
	}
	for my $pc (@pcs) {
		my $text = $elf->{at}{$pc};
		next if $text =~ /^(data16 |cs )*nop|^xchg\s+%ax,%ax/;
		$text =~ s/\s+/ /g;
		if ($text =~ /^((?:bnd |notrack |addr32 )?\w+) ([0-9a-f]+) <([^>]*)>$/) {
			my ($op, $target, $name) = ($1, hex $2, $3);
			if ($target >= $f->{addr} && $target < $end) {
				$text = $op . ' L' . ($labels ? $index{$target} // '?' : '');
			} else {
				$name =~ s/\+0x[0-9a-f]+$|@.*//;
				$name =~ s/\.(lto_priv|llvm)\.\d+//;
				$text = "$op $name";
				push @calls, $name;
			}
		} elsif ($text =~ s/-?0x[0-9a-f]+\(%rip\)(.*?) # [0-9a-f]+ <([^>]*)>$/RIP$1/) {
			# Names of data next to it move with the data; those of functions count.
			my $name = $2;
			if ($text =~ /^(call|jmp)/) {
				$text .= " # $name";
				push @calls, $name;
			}
		}
		# Without PIE addresses are plain numbers.
		$text =~ s/\b(0x[0-9a-f]{1,8})\b/bytes($elf, hex $1, 1) ne '' ? 'ADDR' : $1/ge
			if $elf->{fixed};
		push @body, $text;
	}
	return (\@body, join ' ', sort @calls);
}

# How many of a's and of b's elements are not in their longest common subsequence.
sub distance
{
	my ($a, $b) = @_;
	my @row = (0) x (@$b + 1);
	for my $i (1 .. @$a) {
		my $diagonal = 0;
		for my $j (1 .. @$b) {
			my $above = $row[$j];
			$row[$j] = $a->[ $i - 1 ] eq $b->[ $j - 1 ] ? $diagonal + 1 :
				$above > $row[ $j - 1 ] ? $above : $row[ $j - 1 ];
			$diagonal = $above;
		}
	}
	return (@$a - $row[@$b], @$b - $row[@$b]);
}

# --- all together ---------------------------------------------------------------------------------

my $want = expectations(@sources);
my $on = elf_read($with);
my $off = elf_read($without);
instructions($on);
instructions($off);

my %note;
for my $n (notes($on)) {
	wrong(sprintf 'two notes for 0x%x', $n->{location}) if $note{ $n->{location} };
	$note{ $n->{location} } = $n;
}
my (%found, %probe);
my @sites = sites($on);
for my $site (@sites) {
	my $key = join '|', $KIND[ $site->{kind} ] // '?', @$site{qw(class nargs flags name file line)};
	wrong("$key is in no source") unless exists $want->{$key};
	$found{$key}++;
	wrong("$key: two records for one probe") if $probe{ $site->{probe} }++;
	check_site($on, $site, delete $note{ $site->{probe} }, $key);
}
wrong(sprintf 'a note without a record at 0x%x', $_) for keys %note;
# Only the function that nobody calls may be missing.
wrong("missing: $_") for grep { !$found{$_} && $want->{$_} ne 'gc' } sort keys %$want;
wrong('no sites at all') unless @sites;

wrong("$without: has $_") for grep { section($off, $_) } qw(bscope_sites .text.bscope .probes);
wrong("$without: notes") if notes($off);
wrong("$without: refers to $_->{name}") for grep { $_->{name} =~ /^bscope_/ } @{ $off->{symbols} };

my ($fon, $foff) = (functions($on), functions($off));
my ($exact, $reordered, $moved, $added, @list) = (0, 0, 0, 0);
for my $name (sort keys %{ { %$fon, %$foff } }) {
	my ($f, $g) = ($fon->{$name}, $foff->{$name});
	my $here = $f && grep { $_->{probe} >= $f->{addr} && $_->{probe} < $f->{addr} + $f->{size} } @sites;
	next if $opt{static} && !$here;
	if (!$f || !$g) {
		# Records keep a function that nobody calls from --gc-sections; marks in destructors
		# give gcc an exception path to put apart.
		next if $f && $name =~ /^(_Z\d+)?gc_unreferenced|^mem_(destructor|holder|scoped)\.cold/;
		wrong("$name is a function only ", $f ? 'with' : 'without', ' sites');
		next;
	}
	next if $name =~ /^icf_/;
	my ($a, $calls_a) = body($on, $f, 1);
	my ($b, $calls_b) = body($off, $g, 1);
	# An exception that leaves a scope passes the marks of its destructors.
	for ($calls_a, $calls_b) {
		s/\S+\.cold|_Unwind_Resume//g;
		s/^ +| +$//g;
		s/ +/ /g;
	}
	wrong("$name: calls with sites: $calls_a, without: $calls_b")
		if $calls_a ne $calls_b && $name !~ /^arg_/;
	if (join("\n", @$a) eq join("\n", @$b)) {
		$exact++ if $here;
		next;
	}
	if (!$here) {
		wrong("$name has no sites and is different");
		next;
	}
	($a) = body($on, $f, 0);
	($b) = body($off, $g, 0);
	if (join("\n", sort @$a) eq join("\n", sort @$b)) {
		# A mark is a point in the order of things: the scheduler does not move across it.
		$reordered++;
		push @list, "  $name: $here sites, the same instructions in another order";
		next;
	}
	my ($in, $out) = distance($a, $b);
	$moved++;
	$added += @$a - @$b;
	push @list, "  $name: $here sites, " . @$b . ' -> ' . @$a . " instructions ($in new, $out gone)";
	wrong("$name: its sites cost instructions: ", join("\n", @$a), "\n---\n", join("\n", @$b))
		if $opt{optimised} && $name =~ /^reg_/;
}
if ($opt{icf}) {
	for (qw(icf_plain_one:icf_plain_two:1:1 icf_one:icf_two:0:1)) {
		my ($one, $two, @folded) = split /:/;
		for ([ $on, $folded[0] ], [ $off, $folded[1] ]) {
			my ($elf, $fold) = @$_;
			wrong("$elf->{path}: $one and $two are ", $fold ? 'not folded' : 'folded')
				if (symbol($elf, $one) == symbol($elf, $two)) != $fold;
		}
	}
}
printf "%-28s %6d %6d %10d %6d %10d %7d %13d\n", $opt{label} // $with, scalar @sites,
	scalar keys %found, $exact + $reordered + $moved, $exact, $reordered, $moved, $added;
print map { "$_\n" } @list if $opt{verbose} && @list;
exit($errors ? 1 : 0);
