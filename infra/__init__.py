"""Settings, wiring and the command line. The only package that may import all the others."""
