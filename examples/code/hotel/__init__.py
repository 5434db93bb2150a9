"""The Python side of the example agents: PYTHONPATH has to name the folder that this package is in."""
