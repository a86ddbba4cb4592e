"""What `g6 new-plugin` writes: texts for `string.Template`, one directory per kind."""
