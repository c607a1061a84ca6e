"""What can go wrong while a program is made real.

```
ApplyError             one message for the person who applies
├── ProviderError      the provider refused: `status`, and its own codes and text
└── AnswerLostError    the call may have had its effect: look before repeating it
```
"""

from __future__ import annotations


class ApplyError(Exception):
    """Carry one message that names the resource or the file."""


class ProviderError(ApplyError):
    """The provider said no."""

    def __init__(self, message: str, *, status: int) -> None:
        """Keep the HTTP status beside the message."""
        super().__init__(message)
        self.status = status


class AnswerLostError(ApplyError):
    """No answer to a call that must not be repeated blindly."""
