"""How dates and times are written, where that is to be other than Django has it: a module for each language."""
