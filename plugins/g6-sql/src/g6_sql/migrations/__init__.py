"""The steps that bring a database to the tables of now, oldest first in `versions`; a step is never changed."""
