"""Workers: where orchestrators and activities run."""

from durabletask.worker.options import WorkerOptions
from durabletask.worker.versioning import VersioningOptions
from durabletask.worker.worker import TaskHubWorker

__all__ = ["TaskHubWorker", "VersioningOptions", "WorkerOptions"]
