# SPDX-License-Identifier: MIT
"""What every room of the desk uses: errors, deadlines, keys, files to write, the folder of the cache."""
