"""The migrations of productfc's database, inside the package so that the installed wheel migrates itself."""
