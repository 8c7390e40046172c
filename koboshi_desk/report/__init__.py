# SPDX-License-Identifier: MIT
"""`koboshi report`: figures of recorded consoles, as HTML and as Markdown."""
