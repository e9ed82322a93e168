"""Workers: where orchestrators and activities run."""

from durabletask.worker.options import WorkerOptions
from durabletask.worker.worker import TaskHubWorker

__all__ = ["TaskHubWorker", "WorkerOptions"]
