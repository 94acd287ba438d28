"""Products, items, custody, cold chain, recalls: the rules of the medical supply chain."""
