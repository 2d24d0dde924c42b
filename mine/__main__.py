"""`python -m mine`, which torchrun can start too."""

from mine.cli.main import main

if __name__ == "__main__":
    main()
