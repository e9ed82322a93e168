"""Rows of a store as the state a client sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from durabletask.engine import from_micros
from durabletask.state import FailureDetails, OrchestrationState, OrchestrationStatus

if TYPE_CHECKING:
    from durabletask.store.effect import TurnEffect
    from durabletask.store.instance import OwnedInstance
    from durabletask.store.record import InstanceRecord

__all__ = ["state_of_effect", "state_of_instance", "state_of_record"]

_decode_failure = msgspec.msgpack.Decoder(FailureDetails).decode


def state_of_record(row: InstanceRecord) -> OrchestrationState:
    """The state of a stored row."""
    return OrchestrationState(
        instance_id=row.instance_id,
        name=row.name,
        runtime_status=OrchestrationStatus(row.status),
        created_at=from_micros(row.created_at),
        last_updated_at=from_micros(row.updated_at),
        completed_at=None if row.completed_at is None else from_micros(row.completed_at),
        execution_id=row.execution_id,
        version=row.version,
        serialized_input=row.input,
        serialized_output=row.output,
        serialized_custom_status=row.custom_status,
        failure_details=None if row.failure is None else _decode_failure(row.failure),
        parked_reason=row.parked,
        parent_instance_id=row.parent_instance_id,
        tags=row.tags or {},
    )


def state_of_instance(instance: OwnedInstance) -> OrchestrationState:
    """The state of an owned instance that has been here since its birth and has not finished."""
    return OrchestrationState(
        instance_id=instance.instance_id,
        name=instance.name,
        runtime_status=instance.status,
        created_at=from_micros(instance.created_at),
        last_updated_at=from_micros(instance.clock or instance.created_at),
        execution_id=instance.execution_id,
        version=instance.version,
        serialized_input=instance.input,
        serialized_custom_status=instance.custom_status,
        parent_instance_id=instance.parent.instance_id if instance.parent else None,
        tags=instance.tags or {},
    )


def state_of_effect(effect: TurnEffect) -> OrchestrationState:
    """The final state of such an instance, from the turn that ended it."""
    completion = effect.outcome.completion
    assert completion is not None
    instance, custom_status = effect.instance, effect.custom_status
    recorded = from_micros(effect.turn.recorded_at)
    return OrchestrationState(
        instance_id=instance.instance_id,
        name=instance.name,
        runtime_status=completion.status,
        created_at=from_micros(instance.created_at),
        last_updated_at=recorded,
        completed_at=recorded,
        execution_id=instance.execution_id,
        version=instance.version,
        serialized_input=instance.input,
        serialized_output=completion.result,
        serialized_custom_status=(
            instance.custom_status if custom_status is msgspec.UNSET else custom_status
        ),
        failure_details=completion.failure,
        parent_instance_id=instance.parent.instance_id if instance.parent else None,
        tags=instance.tags or {},
    )
