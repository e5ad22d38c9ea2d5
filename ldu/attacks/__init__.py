"""The adversaries: what a thief does with a picture."""
