//! Rules, alerts, the outbox, notifications and actions.
