# SPDX-License-Identifier: MIT
"""One device as its records describe it: components, outages, crashes, and the table that shows them."""
