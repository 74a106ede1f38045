//! Windows, profiles, statistics, signals, control replays and the gate.
