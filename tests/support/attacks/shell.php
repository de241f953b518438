<?php
// SPDX-License-Identifier: Apache-2.0
// The mailing half of a web shell: ?way=fsockopen|async&address=…&port=…
// Prints the attempt's line, with the peer as PHP sees it.
$names = [0 => 'OK', 1 => 'EPERM', 13 => 'EACCES', 101 => 'ENETUNREACH', 110 => 'ETIMEDOUT',
          111 => 'ECONNREFUSED', 113 => 'EHOSTUNREACH', 115 => 'EINPROGRESS'];
$address = $_GET['address'] ?? $argv[1];
$port = (int)($_GET['port'] ?? $argv[2]);
$way = $_GET['way'] ?? ($argv[3] ?? 'fsockopen');
$host = strpos($address, ':') === false ? $address : "[$address]";
$number = 0;
$text = '';
if ($way === 'fsockopen') {
    $socket = @fsockopen($host, $port, $number, $text, 5);
} else {
    $socket = @stream_socket_client("tcp://$host:$port", $number, $text, 5,
                                    STREAM_CLIENT_CONNECT | STREAM_CLIENT_ASYNC_CONNECT);
}
$result = $socket !== false ? 'OK' : ($names[$number] ?? "E$number");
$pid = getmypid();
$peer = $socket !== false ? (string)@stream_socket_get_name($socket, true) : '';
echo "pid=$pid tid=$pid address=$address port=$port peer=$peer result=$result\n";
