"""Saved histories: a form to be read by people, and by every later version."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durabletask import history as h
from durabletask.errors import SerializationError
from durabletask.state import FailureDetails, ParentInstance
from durabletask.testing import load_history, save_history
from durabletask.testing.saved import format_history, parse_history

EXAMPLE = """\
{
  "format": "durabletask-history",
  "version": 1,
  "events": [
    {
      "kind": "OrchestratorStarted",
      "timestamp": "2030-01-01T00:00:00.000001Z"
    },
    {
      "kind": "ExecutionStarted",
      "name": "trip",
      "instance_id": "trip-7",
      "execution_id": "0001",
      "input": "\\"Köln\\"",
      "parent": {
        "instance_id": "tour",
        "execution_id": "0002",
        "task_id": 3,
        "name": "tour"
      },
      "tags": {
        "colour": "blue"
      },
      "scheduled_start_at": "2030-01-01T00:00:00.000000Z"
    },
    {
      "kind": "TaskFailed",
      "task_id": 1,
      "failure": {
        "error_type": "builtins.ValueError",
        "message": "no",
        "cause": {
          "error_type": "builtins.OSError",
          "message": ""
        }
      }
    }
  ]
}
"""

START = 1_893_456_000_000_000

EVENTS = [
    h.OrchestratorStarted(START + 1),
    h.ExecutionStarted(
        "trip",
        "trip-7",
        "0001",
        '"Köln"',
        parent=ParentInstance("tour", "0002", 3, "tour"),
        tags={"colour": "blue"},
        scheduled_start_at=START,
    ),
    h.TaskFailed(
        1,
        FailureDetails("builtins.ValueError", "no", cause=FailureDetails("builtins.OSError", "")),
    ),
]

texts = st.text(st.characters(exclude_categories=["Cs"]))
payloads = st.none() | texts
numbers = st.integers(0, 2**40)
instants = st.integers(-(10**15), 10**17)
failures = st.recursive(
    st.builds(FailureDetails, texts, texts, payloads),
    lambda causes: st.builds(FailureDetails, texts, texts, payloads, causes, st.booleans()),
    max_leaves=3,
)
parents = st.builds(ParentInstance, texts, texts, numbers, texts)
tags = st.none() | st.dictionaries(texts, texts, max_size=3)
events = st.one_of(
    st.builds(h.OrchestratorStarted, instants),
    st.builds(
        h.ExecutionStarted,
        texts,
        texts,
        texts,
        payloads,
        payloads,
        st.none() | parents,
        tags,
        st.none() | instants,
    ),
    st.builds(h.TaskScheduled, numbers, texts, payloads, payloads, tags),
    st.builds(h.TaskCompleted, numbers, payloads),
    st.builds(h.TaskFailed, numbers, failures),
    st.builds(h.TimerCreated, numbers, instants),
    st.builds(h.TimerFired, numbers, instants),
    st.builds(h.SubOrchestrationInstanceCreated, numbers, texts, texts, payloads, payloads, tags),
    st.builds(h.SubOrchestrationInstanceCompleted, numbers, payloads),
    st.builds(h.SubOrchestrationInstanceFailed, numbers, failures),
    st.builds(h.EventSent, numbers, texts, texts, payloads),
    st.builds(h.EventRaised, texts, payloads),
    st.builds(h.ExecutionSuspended, payloads),
    st.builds(h.ExecutionResumed, payloads),
    st.builds(h.ExecutionTerminated, payloads, st.booleans()),
    st.builds(h.ExecutionCompleted, texts, payloads, st.none() | failures),
    st.builds(h.ContinuedAsNew, payloads),
)


def saying(**changes):
    """The example with changes to its last event."""
    document = json.loads(EXAMPLE)
    document["events"][-1] |= changes
    return json.dumps(document)


def test_the_form_is_fixed():
    assert format_history(EVENTS) == EXAMPLE
    assert parse_history(EXAMPLE) == EVENTS


@given(st.lists(events, max_size=5))
def test_every_history_comes_back(history):
    assert parse_history(format_history(history)) == history


def test_a_file(tmp_path):
    path = tmp_path / "trip.json"
    save_history(path, EVENTS)
    assert path.read_text("utf-8") == EXAMPLE
    assert load_history(path) == load_history(str(path)) == EVENTS


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "it is no JSON"),
        ("[]", "does not say 'durabletask-history'"),
        ('{"format": "other"}', "does not say 'durabletask-history'"),
        (EXAMPLE.replace('"version": 1', '"version": 2'), "version 2, .*upgrade"),
        ('{"format": "durabletask-history", "version": 1}', "no list of events"),
        (EXAMPLE.replace('"TaskFailed"', '"TaskFell"'), "event 3 in .* unknown kind 'TaskFell'"),
        (EXAMPLE.replace('"error_type": "builtins.OSError",', ""), "event 3 .*cause.* damaged"),
        (saying(extra=1), "event 3 in .*, TaskFailed, has unknown fields: extra"),
        (saying(task_id="one"), "event 3 in .*, TaskFailed, is damaged: Expected `int`"),
        (saying(failure="broken"), "TaskFailed, failure, is no object"),
        (EXAMPLE.replace("2030-01-01T00:00:00.000001Z", "today"), "timestamp is no instant"),
        (EXAMPLE.replace('"2030-01-01T00:00:00.000001Z"', "7"), "timestamp is no instant: 7"),
    ],
)
def test_what_is_damaged_is_told(tmp_path, text, complaint):
    path = tmp_path / "damaged.json"
    path.write_text(text, "utf-8")
    with pytest.raises(SerializationError, match=complaint) as raised:
        load_history(path)
    assert "damaged.json" in str(raised.value)
