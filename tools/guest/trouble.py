# SPDX-License-Identifier: GPL-2.0-only
"""What went wrong with the machine, as opposed to the command in it."""


class Trouble(Exception):
    """One line that says what and why, and a hint where the user can do something."""

    def __init__(self, reason, hint=None):
        super().__init__(f"{reason}\n  hint: {hint}" if hint else reason)
