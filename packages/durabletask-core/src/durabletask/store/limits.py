"""What may be stored: checked before anything is written."""

from __future__ import annotations

import functools

from durabletask.errors import InvalidRequestError, PayloadTooLargeError

__all__ = ["MAX_ID_LENGTH", "check_instance_id", "check_name", "check_payload", "check_tags"]

MAX_ID_LENGTH = 256
"""Characters of an instance id, a name, or a tag."""


def _check_text(text: object, what: str) -> None:
    if not isinstance(text, str):
        raise InvalidRequestError(f"{what} must be a str, not {type(text).__name__}")
    if not text.strip():
        raise InvalidRequestError(f"{what} must not be blank")
    if len(text) > MAX_ID_LENGTH:
        raise InvalidRequestError(
            f"{what} has {len(text)} characters; at most {MAX_ID_LENGTH} are allowed"
        )
    if "\0" in text:
        raise InvalidRequestError(f"{what} must not contain NUL characters")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequestError(f"{what} is not valid Unicode text: {error.reason}") from None


def check_instance_id(instance_id: str) -> None:
    """Raise InvalidRequestError unless this can be the id of an orchestration instance."""
    _check_text(instance_id, "an instance id")
    if instance_id.startswith("@"):
        raise InvalidRequestError(
            f"the instance id {instance_id!r} begins with '@', which is kept for entities"
        )


@functools.lru_cache(maxsize=1024)
def check_name(name: str, what: str) -> None:
    """Raise InvalidRequestError unless ``name`` can name ``what`` ("an event", ...)."""
    _check_text(name, f"the name of {what}")


def check_tags(tags: dict[str, str] | None) -> None:
    """Raise InvalidRequestError unless the tags map short texts to texts."""
    for key, value in (tags or {}).items():
        _check_text(key, "the key of a tag")
        if not isinstance(value, str):
            raise InvalidRequestError(
                f"the tag {key!r} must have a str as value, not {type(value).__name__}"
            )


def check_payload(payload: str | None, what: str, limit: int) -> None:
    """Raise PayloadTooLargeError if the JSON text takes more than ``limit`` bytes of UTF-8."""
    if payload is None or len(payload) * 4 <= limit:  # cheap: no text can take more
        return
    size = len(payload.encode())
    if size > limit:
        raise PayloadTooLargeError(
            f"{what} takes {size:,} bytes as JSON; at most {limit:,} are allowed. Store the data "
            "elsewhere and pass a reference to it"
        )
