# SPDX-License-Identifier: MIT
"""What every room of the workbench uses: the cache, commands, downloads, progress, the repository's files."""
