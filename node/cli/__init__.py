"""The command line `medlock`: arguments in, data on stdout, progress and errors on stderr."""
