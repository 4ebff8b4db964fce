"""The parts that screens are made of; each shows plain data and knows no processes."""
