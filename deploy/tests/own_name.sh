#!/usr/bin/env bash
# own_name.sh DESK COMMANDS PROGRAM: runs the commands of "With your own name" (internet.md) in this folder. They are for a
# machine of their own, so /etc is a copy that ends with this process, the certificate of the desk stands for certbot's, and
# systemctl does nothing. Then prints what came of it, for test_internet.py.
set -euo pipefail
desk=$1 commands=$2 program=$3
copy=$desk/../etc-copy
mkdir "$copy"
mount -t tmpfs none "$copy"
mkdir "$copy/upper" "$copy/work" "$copy/bin"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$copy/upper,workdir=$copy/work" /etc
printf '#!/bin/sh\necho "systemctl $*"\n' >"$copy/bin/systemctl"
chmod +x "$copy/bin/systemctl"
live=/etc/letsencrypt/live/md.example.com
mkdir -p "$live"
cp "$desk/certificate.pem" "$live/fullchain.pem"
cp "$desk/certificate-key.pem" "$live/privkey.pem"
cd "$desk"
PATH=$copy/bin:$PATH bash -euo pipefail -c "$commands"
stat -c '%n %U %G %a' /etc/tickcast/certificate-key.pem /etc/tickcast-login /etc/tickcast-login/{token-key.pem,users.json,certificate-key.pem}
ls /etc/tickcast
grep -l localhost /etc/tickcast/* /etc/tickcast-login/* || echo "localhost is nowhere"
sed -i "s|/usr/local/bin/tickcast|$program|" /etc/systemd/system/tickcast.service
systemd-analyze verify --man=no /etc/systemd/system/tickcast.service /etc/systemd/system/tickcast-login.service
echo "the units are good"
