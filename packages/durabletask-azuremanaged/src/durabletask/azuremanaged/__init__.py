"""Azure's Durable Task Scheduler: a client, a worker, and the backend below them."""

from durabletask.azuremanaged.backend import AzureManagedBackend
from durabletask.azuremanaged.client import DurableTaskSchedulerClient
from durabletask.azuremanaged.settings import SchedulerSettings
from durabletask.azuremanaged.worker import DurableTaskSchedulerWorker

__all__ = [
    "AzureManagedBackend",
    "DurableTaskSchedulerClient",
    "DurableTaskSchedulerWorker",
    "SchedulerSettings",
]
