#!/bin/sh
# SPDX-License-Identifier: MIT
# /etc/koboshi/setup: what the demo's users need before their components start. rcS runs it as root.
chgrp dialout /dev/ttyS1 && chmod 660 /dev/ttyS1
# BusyBox's syslogd binds its socket where this link points. /dev is root's.
chown syslogd: /run/log && ln -sfn /run/log/socket /dev/log
