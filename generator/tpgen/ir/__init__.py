"""The intermediate representation: operator declarations, the graph, its text form and its invariants."""
