"""An extension of attractor: one file for each kind of thing that can be added."""
