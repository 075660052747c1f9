"""Real servers on this machine, on the loopback, for `make stack` and for the fixtures of tests."""
