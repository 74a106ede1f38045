//! Integration tests: the real binary as a user runs it, one module a property.
