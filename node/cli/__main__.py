"""`python -m node.cli`: the same as the installed `medlock`."""

from node.cli.main import main

if __name__ == "__main__":
    main()
