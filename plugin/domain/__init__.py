"""The pure core: what an order earns whom, and why. Standard library only; no clock, no database, no framework."""
