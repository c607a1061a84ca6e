"""How to act: one book a file. Books never import each other, nor pulumi, nor the twin."""
