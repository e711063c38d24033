"""The steps, each a file named after its number; a package, so that every installation has them."""
