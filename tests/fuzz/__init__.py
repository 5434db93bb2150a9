"""Coverage-guided fuzzing of the property tests: `make fuzz`."""
