# Hashes, regular expressions, sorting and strings.
use strict;
use warnings;

my $state = 12345;
sub next_number { return $state = ($state * 1103515245 + 12345) & 0x7fffffff; }

for my $round (1 .. shift) {
  my %count;
  my $text = join ' ', map { 'k' . next_number() % 300 . '=' . next_number() % 1000 } 1 .. 2000;
  while ($text =~ /(\w+)=(\d+)/g) { $count{$1} += $2; }
  my @order = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
  (my $changed = $text) =~ s/k(\d)(\d*)/$2$1/g;
  my $sum = 0;
  for my $i (0 .. 8000) { $sum = ($sum * 31 + ord substr($changed, $i % length $changed, 1)) % 1000003; }
  my @lines = map { sprintf '%s:%05d', $_, $count{$_} } @order[0 .. 2];
  print "@lines $sum ", scalar reverse(join ',', splice @order, 0, 5), "\n";
}
