"""A deterministic simulator of API traffic: benign personas and attacks on a catalogue of REST endpoints."""

from stream.simulator.traffic import DEFAULT_START, AttackLabel, Simulation, SimulationOptions
from stream.simulator.visits import SimulatedCall

__all__ = ["DEFAULT_START", "AttackLabel", "SimulatedCall", "Simulation", "SimulationOptions", "simulate"]


def simulate(options: SimulationOptions) -> Simulation:
    """Return the calls as an iterator ordered by time; its ``labels()`` give the attacks that have ended so far."""
    return Simulation(options)
