"""Sessions at random for minutes on end: `make soak`."""
