"""The migrations of userfc's database, inside the package so that the installed wheel migrates itself."""
