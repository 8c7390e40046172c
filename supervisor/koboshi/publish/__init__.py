# SPDX-License-Identifier: MIT
"""`koboshi-publish`: send the records of a device to an MQTT broker."""
