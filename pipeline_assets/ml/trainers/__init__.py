"""What fits models: a module a package behind one interface."""
