"""Training, export and evaluation of the demo models. `models/train/run` is the one command that reproduces them."""
