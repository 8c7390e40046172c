# SPDX-License-Identifier: MIT
"""`./dev demo`: break every component of an image and show that it restarts."""
