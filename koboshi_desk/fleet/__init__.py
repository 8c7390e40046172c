# SPDX-License-Identifier: MIT
"""`koboshi bridge`: forward what many devices report to MQTT and Prometheus."""
