#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# bot.pl ADDRESS PORT: what is found on hacked servers. Calls itself a web
# server, leaves its parents by a double fork, connects, prints the attempt's
# line. The first process ends when the last one has.
use strict;
use warnings;
use IO::Handle;
use POSIX qw(setsid);
use Socket qw(:DEFAULT getaddrinfo SOCK_STREAM);

my ($address, $port) = @ARGV;
die "usage: bot.pl ADDRESS PORT\n" unless defined $port;
$0 = '/usr/sbin/apache2';
pipe(my $done, my $alive) or die "pipe: $!\n";
my $child = fork() // die "fork: $!\n";
if ($child == 0) {
  setsid();
  my $grandchild = fork() // die "fork: $!\n";
  POSIX::_exit(0) if $grandchild != 0;
  alarm 30;
  my ($error, $found) = getaddrinfo($address, $port, {socktype => SOCK_STREAM});
  die "$address: $error\n" if $error;
  socket(my $socket, $found->{family}, SOCK_STREAM, 0) or die "socket: $!\n";
  my $result = connect($socket, $found->{addr}) ? 'OK' : (grep { $!{$_} } sort keys %!)[0];
  print "pid=$$ tid=$$ uid=$< address=$address port=$port result=$result\n";
  STDOUT->flush();
  exit 0;
}
close $alive;
waitpid($child, 0);
sysread($done, my $byte, 1);
