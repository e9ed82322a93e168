"""What may be stored is checked before anything is written."""

import pytest

from durabletask.errors import InvalidRequestError, PayloadTooLargeError, SerializationError
from durabletask.limits import check_payload, checked_tags


def test_payloads_are_text_that_any_database_takes() -> None:
    """**size**, **failure-serialize**: JSON passes, NUL and too many bytes do not."""
    check_payload(None, "the input", 10)
    check_payload('"\\u0000"', "the input", 10)
    with pytest.raises(SerializationError, match="the input contains a NUL"):
        check_payload("\0", "the input", 10)
    with pytest.raises(PayloadTooLargeError, match="11 bytes"):
        check_payload("x" * 11, "the input", 10)


def test_tags_are_text_that_any_database_takes() -> None:
    """Keys and values alike."""
    assert checked_tags({"k": ""}) == {"k": ""}
    for tags in ({"k": "a\0b"}, {"k\0": "v"}, {"": "v"}, {"k": "\ud800"}):
        with pytest.raises(InvalidRequestError):
            checked_tags(tags)
