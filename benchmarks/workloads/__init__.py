"""The workloads by name."""

from benchmarks.workloads.entity_calls import ENTITY_CALLS
from benchmarks.workloads.fan_out import FAN_OUT
from benchmarks.workloads.hello_sequence import HELLO_SEQUENCE
from benchmarks.workloads.idle import IDLE
from benchmarks.workloads.latency import LATENCY
from benchmarks.workloads.long_sequence import LONG_SEQUENCE
from benchmarks.workloads.replay import REPLAY
from benchmarks.workloads.spilled import SPILLED
from benchmarks.workloads.take_over import TAKE_OVER

__all__ = ["WORKLOADS"]

WORKLOADS = {
    workload.name: workload
    for workload in (
        HELLO_SEQUENCE,
        FAN_OUT,
        LONG_SEQUENCE,
        LATENCY,
        REPLAY,
        IDLE,
        SPILLED,
        TAKE_OVER,
        ENTITY_CALLS,
    )
}
