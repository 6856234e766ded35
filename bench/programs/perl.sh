exec /usr/bin/perl work.pl "$1"
