"""All programs by name."""

from durabletask.testing.simulation.programs.bank import Bank
from durabletask.testing.simulation.programs.counter import Counting
from durabletask.testing.simulation.programs.operator import Operating
from durabletask.testing.simulation.programs.saga import Travelling
from durabletask.testing.simulation.programs.tallies import Tallying
from durabletask.testing.simulation.programs.trees import Trees
from durabletask.testing.simulation.programs.vault import Vault
from durabletask.testing.simulation.programs.versioned import Versioned
from durabletask.testing.simulation.programs.workshop import Mending

__all__ = ["PROGRAMS"]

PROGRAMS = {
    program.__name__: program
    for program in (
        Trees,
        Bank,
        Counting,
        Travelling,
        Operating,
        Mending,
        Tallying,
        Vault,
        Versioned,
    )
}
"""Every program there is."""
