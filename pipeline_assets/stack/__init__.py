"""Every real server on this machine, on the loopback: what `make stack` starts and the tests' fixtures share."""
