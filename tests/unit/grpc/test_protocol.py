"""Our .proto file is the published protocol, and the generated modules are made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from durabletask.grpc.protocol import METHODS, SERVICE, pb

PROTOCOL: dict[str, Any] = json.loads((Path(__file__).parent / "protocol.json").read_text("utf-8"))
"""The published protocol as data."""

SCALARS = {
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_STRING: "string",
}


def type_of(field: FieldDescriptor) -> str:
    """How the data name the type of a field."""
    if field.message_type is not None:
        return str(field.message_type.full_name)
    if field.enum_type is not None:
        return str(field.enum_type.full_name)
    return SCALARS[field.type]


def field_as_data(field: FieldDescriptor) -> dict[str, Any]:
    """A field of a compiled message in the form of the data."""
    data: dict[str, Any] = {"number": field.number, "name": field.name}
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
        return data | {"kind": "map", "key_type": type_of(key), "value_type": type_of(value)}
    classes = {True: "message", False: "enum" if field.enum_type is not None else "scalar"}
    data |= {
        "kind": "repeated" if field.is_repeated else "singular",
        "type": type_of(field),
        "type_class": classes[entry is not None],
    }
    if not field.is_repeated:
        data["presence"] = "explicit" if field.has_presence else "implicit"
    if field.containing_oneof is not None:
        data["oneof"] = field.containing_oneof.name
    if field.GetOptions().deprecated:
        data["deprecated"] = True
    return data


def published_fields(name: str) -> list[dict[str, Any]]:
    """The fields of a message as published."""
    fields: list[dict[str, Any]] = PROTOCOL["messages"][name]["fields"]
    return sorted(fields, key=lambda field: field["number"])


def test_the_messages_are_those_published() -> None:
    """None is missing, and none is ours alone."""
    assert set(pb.DESCRIPTOR.message_types_by_name) == set(PROTOCOL["messages"])


@pytest.mark.parametrize("name", PROTOCOL["messages"])
def test_a_message_is_wire_compatible(name: str) -> None:
    """Numbers, names, types, presence and oneofs of every field."""
    message: Descriptor = pb.DESCRIPTOR.message_types_by_name[name]
    compiled = sorted(map(field_as_data, message.fields), key=lambda field: field["number"])
    assert compiled == published_fields(name)
    assert [one.name for one in message.oneofs] == PROTOCOL["messages"][name].get("oneofs", [])


def test_enums_are_wire_compatible() -> None:
    """Names and numbers of every value."""
    assert {
        name: [{"name": value.name, "number": value.number} for value in enum.values]
        for name, enum in pb.DESCRIPTOR.enum_types_by_name.items()
    } == {name: enum["values"] for name, enum in PROTOCOL["enums"].items()}


def test_rpcs_are_wire_compatible() -> None:
    """Paths, messages and direction of every rpc."""
    published = PROTOCOL["services"][SERVICE]["methods"]
    assert {
        name: (
            method.path,
            method.request.DESCRIPTOR.full_name,
            method.response.DESCRIPTOR.full_name,
            method.streams,
        )
        for name, method in METHODS.items()
    } == {
        method["name"]: (
            method["path"],
            method["request"],
            method["response"],
            method["server_streaming"],
        )
        for method in published
    }


def test_the_package_is_empty() -> None:
    """Paths begin with the name of the service."""
    assert (pb.DESCRIPTOR.package, PROTOCOL["package"]) == ("", "")
