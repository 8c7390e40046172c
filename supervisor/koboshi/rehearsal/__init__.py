# SPDX-License-Identifier: MIT
"""`koboshictl rehearse`: break components on purpose and compare what happens with the manifest."""
