"""What may be stored is checked before anything is written."""

import pytest

from durabletask.errors import InvalidRequestError, PayloadTooLargeError, SerializationError
from durabletask.limits import check_payload, check_reason, checked_tags, is_storable, may_match
from durabletask.state import OrchestrationQuery
from durabletask.worker.sized import SizedConverter


def test_payloads_are_text_that_any_database_takes() -> None:
    """**size**, **failure-serialize**: JSON passes, NUL and too many bytes do not."""
    check_payload(None, "the input", 10)
    check_payload('"\\u0000"', "the input", 10)
    with pytest.raises(SerializationError, match="the input contains a NUL"):
        check_payload("\0", "the input", 10)
    with pytest.raises(PayloadTooLargeError, match="11 bytes"):
        check_payload("x" * 11, "the input", 10)


def test_reasons_are_text_that_a_history_takes() -> None:
    """What an operator says may be anything but too long, or half a character."""
    for reason in (None, "", "why \0 not", "\U0001f600"):
        check_reason(reason, "the reason", 10)
    with pytest.raises(InvalidRequestError, match="the reason is not valid Unicode"):
        check_reason("\ud800", "the reason", 10)
    with pytest.raises(PayloadTooLargeError, match="11 bytes"):
        check_reason("x" * 11, "the reason", 10)


def test_tags_are_text_that_any_database_takes() -> None:
    """Keys and values alike."""
    assert checked_tags({"k": ""}) == {"k": ""}
    for tags in ({"k": "a\0b"}, {"k\0": "v"}, {"": "v"}, {"k": "\ud800"}):
        with pytest.raises(InvalidRequestError):
            checked_tags(tags)


def test_texts_that_no_store_holds() -> None:
    """To look for one is to find nothing."""
    assert is_storable("", None, "é\U0001f600")
    for text in ("a\0b", "a\ud800b"):
        assert not is_storable("good", text)
        assert not may_match(OrchestrationQuery(tags={"k": text}))
    assert may_match(OrchestrationQuery(name="n", tags={"k": "v"}, instance_id_prefix="p"))


def test_small_payloads_are_looked_at_too() -> None:
    """**failure-serialize** A converter of one's own may give what JSON never does."""

    class Raw:
        def serialize(self, value: str, *, where: str) -> str:
            return value

        def deserialize(self, data: str | None, kind: object, *, where: str) -> str | None:
            return data

    converter = SizedConverter(Raw(), 1000)
    assert converter.serialize("x", where="the result") == "x"
    with pytest.raises(SerializationError, match="the result contains a NUL"):
        converter.serialize("\0", where="the result")
