"""What may be stored: texts and sizes are checked before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from durabletask.errors import (
    ArgumentTypeError,
    InvalidRequestError,
    PayloadTooLargeError,
    SerializationError,
)

if TYPE_CHECKING:
    from durabletask.state import OrchestrationQuery

__all__ = [
    "MAX_TEXT",
    "check_instance_id",
    "check_payload",
    "check_reason",
    "check_text",
    "checked_tags",
    "is_storable",
    "may_match",
]

MAX_TEXT = 256
"""Characters of an instance id, of a name, and of the key of a tag."""


def check_text(text: object, what: str) -> None:
    """Raise unless ``text`` can be a name: 1 to 256 characters, not blank, no NUL, valid Unicode.

    Raises:
        ArgumentTypeError: it is no text.
        InvalidRequestError: it is not a usable one.
    """
    if not isinstance(text, str):
        raise ArgumentTypeError(f"{what} must be text, not {type(text).__name__}")
    if not text or text.isspace():
        raise InvalidRequestError(f"{what} must not be blank")
    if len(text) > MAX_TEXT:
        raise InvalidRequestError(
            f"{what} has {len(text)} characters; at most {MAX_TEXT} are allowed"
        )
    if "\0" in text:
        raise InvalidRequestError(f"{what} must not contain NUL characters")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequestError(f"{what} is not valid Unicode: {error.reason}") from None


def is_storable(*texts: str | None) -> bool:
    """Whether these texts can be in a store at all; to look for one that cannot is to find nothing.

    Databases take such a text for trouble of their own, and trouble is tried again.
    """
    for text in texts:
        if text is None:
            continue
        if "\0" in text:
            return False
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                return False
    return True


def may_match(query: OrchestrationQuery) -> bool:
    """Whether a store can hold what a query looks for."""
    tags = query.tags
    return is_storable(query.name, query.instance_id_prefix, *tags, *tags.values())


def check_instance_id(instance_id: object, what: str = "an instance id") -> None:
    """Raise as ``check_text``, or because an entity's id stands for an orchestration's."""
    check_text(instance_id, what)
    if isinstance(instance_id, str) and instance_id.startswith("@"):
        raise InvalidRequestError(
            f"{what} must not begin with '@', which is kept for entities: {instance_id!r}"
        )


def checked_tags(tags: object) -> dict[str, str]:
    """A copy of the tags, so that later changes to the author's mapping do not matter.

    Raises:
        ArgumentTypeError, InvalidRequestError: they do not map usable names to texts.
    """
    if not isinstance(tags, Mapping) or not all(isinstance(tag, str) for tag in tags.values()):
        raise ArgumentTypeError(f"tags take a mapping of text to text, not {tags!r}")
    for key, value in tags.items():
        check_text(key, "the key of a tag")
        if "\0" in value:
            raise InvalidRequestError(f"the tag {key!r} must not contain NUL characters")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequestError(
                f"the tag {key!r} is not valid Unicode: {error.reason}"
            ) from None
    return dict(tags)


def check_reason(reason: str | None, what: str, limit: int) -> None:
    """Raise unless a history can hold what an operator says.

    Raises:
        InvalidRequestError: it is not valid Unicode.
        PayloadTooLargeError: it takes more than ``limit`` bytes of UTF-8.
    """
    if reason is None:
        return
    try:
        size = len(reason.encode())
    except UnicodeEncodeError as error:
        raise InvalidRequestError(f"{what} is not valid Unicode: {error.reason}") from None
    if size > limit:
        raise PayloadTooLargeError(f"{what} takes {size:,} bytes; at most {limit:,} are allowed")


def check_payload(payload: str | None, what: str, limit: int) -> None:
    """Raise unless the text can be stored in a column of text, of whatever database.

    Raises:
        PayloadTooLargeError: it takes more than ``limit`` bytes of UTF-8.
        SerializationError: it holds a NUL character, as JSON never does.
    """
    if payload is None:
        return
    if "\0" in payload:
        raise SerializationError(
            f"{what} contains a NUL character, which JSON writes as \\u0000: the data converter "
            "must not give one"
        )
    if len(payload) * 4 <= limit:  # no character takes more than four
        return
    size = len(payload.encode())
    if size > limit:
        raise PayloadTooLargeError(
            f"{what} takes {size:,} bytes as JSON; at most {limit:,} are allowed. Store the data "
            "elsewhere and pass a reference to it"
        )
