"""The maker of the models that ship; ``python -m tools.ship --help``, from the root of the repository."""
