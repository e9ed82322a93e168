"""How user payloads become text and come back typed.

Payloads are JSON text, never pickles, and no type is ever looked up by a name found in data: types
come from annotations or from an explicit ``return_type``.
"""

from durabletask.serialization._annotations import input_type_of, result_type_of
from durabletask.serialization._converter import DataConverter
from durabletask.serialization._json import DEFAULT_CONVERTER, JsonDataConverter

__all__ = [
    "DEFAULT_CONVERTER",
    "DataConverter",
    "JsonDataConverter",
    "input_type_of",
    "result_type_of",
]
