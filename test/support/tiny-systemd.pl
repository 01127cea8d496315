# Of systemd what the daemon sees of it: holds listening sockets, starts a command with them, and
# listens to what the command says (sd_listen_fds(3), sd_notify(3)).
#
#   perl tiny-systemd.pl NOTIFY_SOCKET STREAM... -- COMMAND [ARGUMENT]...
#
# A STREAM is 127.0.0.1:PORT, [::1]:PORT or /PATH. On standard input `start` and `stop`; on standard
# output `notify A=1|B=2`, `started PID` and `ended STATUS`. The end of the input ends everything.
use strict;
use warnings;
use Fcntl qw(F_DUPFD);
use IO::Select;
use POSIX qw(dup2 WNOHANG);
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 IPPROTO_IPV6 IPV6_V6ONLY);

$| = 1;
$^F = 1000;    # nothing is closed at exec
my $notify_path = shift @ARGV;
my @high;
while (defined(my $stream = shift @ARGV)) {
    last if $stream eq '--';
    my ($host, $port) = $stream =~ /^\[?(.*?)\]?:(\d+)$/;
    my $family = $stream =~ m{^/} ? AF_UNIX : $stream =~ /^\[/ ? AF_INET6 : AF_INET;
    my $address =
        $family == AF_UNIX  ? pack_sockaddr_un($stream)
      : $family == AF_INET6 ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $host))
      :                       pack_sockaddr_in($port, inet_pton(AF_INET, $host));
    socket(my $socket, $family, SOCK_STREAM, 0) or die "socket: $!";
    setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) unless $family == AF_UNIX;
    setsockopt($socket, IPPROTO_IPV6, IPV6_V6ONLY, 1) if $family == AF_INET6;
    bind($socket, $address) or die "$stream: $!";
    listen($socket, 100) or die "$stream: $!";
    push @high, fcntl($socket, F_DUPFD, 50);
}
socket(my $notify, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!";
bind($notify, pack_sockaddr_un($notify_path)) or die "$notify_path: $!";

my $pid;
my $select = IO::Select->new(\*STDIN, $notify);
while (1) {
    for my $ready ($select->can_read(0.02)) {
        if ($ready == $notify) {
            recv($notify, my $text, 4096, 0);
            $text =~ tr/\n/|/;
            print "notify $text\n";
        } else {
            my $length = sysread(STDIN, my $line, 100);
            if (!$length) { kill 'KILL', $pid if $pid; exit }
            kill 'TERM', $pid if $line =~ /stop/ && $pid;
            start() if $line =~ /start/;
        }
    }
    if ($pid && waitpid($pid, WNOHANG) == $pid) {
        print "ended $?\n";
        $pid = undef;
    }
}

sub start {
    $pid = fork();
    if ($pid) { print "started $pid\n"; return }
    dup2($high[$_], 3 + $_) for 0 .. $#high;
    $ENV{LISTEN_PID} = $$;
    $ENV{LISTEN_FDS} = @high;
    $ENV{NOTIFY_SOCKET} = $notify_path;
    $ENV{WATCHDOG_USEC} = 200000;
    open(STDIN, '<', '/dev/null');
    open(STDOUT, '>&', \*STDERR);
    exec @ARGV or die "exec: $!";
}
