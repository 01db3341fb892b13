"""`python -m learning_hub` is the command line."""

from learning_hub.cli import main

if __name__ == "__main__":
    main()
