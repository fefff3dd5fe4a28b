#!/usr/bin/env bash
# The container's health: does the shop in it say that it is ready? In the image as `kartshoppe-ready`, which has no HTTP client.
set -euo pipefail
exec 3<>/dev/tcp/127.0.0.1/9464
printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r _ status _ <&3
[ "$status" = 200 ]
