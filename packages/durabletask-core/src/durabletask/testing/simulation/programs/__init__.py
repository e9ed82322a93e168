"""Programs to simulate: between them they use everything that orchestrations can do."""

from durabletask.testing.simulation.programs.bank import Bank
from durabletask.testing.simulation.programs.catalogue import PROGRAMS
from durabletask.testing.simulation.programs.counter import Counting
from durabletask.testing.simulation.programs.operator import Operating
from durabletask.testing.simulation.programs.saga import Travelling
from durabletask.testing.simulation.programs.tallies import Tallying
from durabletask.testing.simulation.programs.trees import Trees
from durabletask.testing.simulation.programs.vault import Vault
from durabletask.testing.simulation.programs.versioned import Versioned
from durabletask.testing.simulation.programs.workshop import Mending

__all__ = [
    "PROGRAMS",
    "Bank",
    "Counting",
    "Mending",
    "Operating",
    "Tallying",
    "Travelling",
    "Trees",
    "Vault",
    "Versioned",
]
