"""The neural network and the worker processes that train and apply it; never opens the catalogue."""
