"""Log-mel features: one definition for training, for live use and inside the exported file.

``logmel`` (numpy) holds the settings and the constants, ``frontend`` (torch) the module that computes with
them, ``spec_augment`` (numpy) the masks that training may lay over them, ``motion`` (numpy) the readings of a
wrist sensor on the same frame clock. Nothing is imported here, so that
the settings can be read without torch.
"""
