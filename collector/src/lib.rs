//! Receives OTLP and outcomes, admits, redacts and decodes them.
