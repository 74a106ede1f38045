//! A retraining from its request to its end: pure.

use driftlead_store::clock::UnixNanos;
use driftlead_store::state::actions::{Action, ActionState};
use driftlead_store::state::deployments::Deployment;

/// What becomes of a retraining, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet.
    Wait,
    /// A deployment named it: this version is what it made.
    Done {
        /// The version.
        version: String,
    },
    /// Nothing was deployed in time.
    Overdue(String),
    /// The version that it made was rolled back.
    Undone(String),
}

/// Decides. `deployment` is the first that names the retraining; `rollbacks` are those that took a version
/// of this model out of service.
pub fn decide(action: &Action, deployment: Option<&Deployment>, rollbacks: &[Action], now: UnixNanos) -> Step {
    match action.state {
        ActionState::Done => undone(action, rollbacks),
        ActionState::Requested | ActionState::Accepted | ActionState::Overdue => match deployment {
            Some(deployment) => Step::Done {
                version: deployment.version.clone(),
            },
            None if action.state == ActionState::Accepted && now >= action.deadline => {
                Step::Overdue("no deployment has named it in time".into())
            }
            None => Step::Wait,
        },
        _ => Step::Wait,
    }
}

fn undone(action: &Action, rollbacks: &[Action]) -> Step {
    let undoing = rollbacks.iter().find(|rollback| {
        rollback.model == action.model
            && rollback.environment == action.environment
            && rollback.from_version.is_some()
            && rollback.from_version == action.details.made_version
            && rollback.requested_at >= action.requested_at
    });
    match undoing {
        Some(rollback) => Step::Undone(format!(
            "{} was rolled back ({})",
            action.details.made_version.as_deref().unwrap_or_default(),
            rollback.id
        )),
        None => Step::Wait,
    }
}

#[cfg(test)]
mod tests {
    use driftlead_store::state::actions::{ActionDetails, ActionKind};
    use driftlead_store::state::deployments::DeploymentEvent;

    use super::*;

    fn action(kind: ActionKind, state: ActionState, version: Option<&str>) -> Action {
        let rollback = kind == ActionKind::Rollback;
        Action {
            id: format!("act_{}", kind.as_str()),
            kind,
            model: "employment".into(),
            environment: "production".into(),
            from_version: version.filter(|_| rollback).map(str::to_owned),
            to_version: None,
            retrain_id: (!rollback).then(|| "rtr_1".into()),
            state,
            because: vec![],
            rule: None,
            alert_id: None,
            requested_by: "rule".into(),
            requested_at: UnixNanos(100),
            accepted_at: None,
            finished_at: None,
            deadline: UnixNanos(1_000),
            details: ActionDetails {
                made_version: version.filter(|_| !rollback).map(str::to_owned),
                ..ActionDetails::default()
            },
            updated_at: UnixNanos(100),
        }
    }

    fn deployment() -> Deployment {
        Deployment {
            id: "dep_1".into(),
            model: "employment".into(),
            version: "1.1".into(),
            environment: "production".into(),
            event: DeploymentEvent::Live,
            source: "api".into(),
            baseline_version: Some("1.0".into()),
            retrain_id: Some("rtr_1".into()),
            reference: None,
            commit_id: None,
            artifact: None,
            data_version: None,
            body: serde_json::json!({}),
            at: UnixNanos(500),
            created_at: UnixNanos(500),
            watch_until: UnixNanos(900),
            planned_at: None,
        }
    }

    #[test]
    fn a_deployment_that_names_it_makes_it_done_even_late() {
        let done = Step::Done { version: "1.1".into() };
        for state in [ActionState::Requested, ActionState::Accepted, ActionState::Overdue] {
            let action = action(ActionKind::Retrain, state, None);
            assert_eq!(decide(&action, Some(&deployment()), &[], UnixNanos(2_000)), done);
        }
    }

    #[test]
    fn it_is_overdue_once() {
        let accepted = action(ActionKind::Retrain, ActionState::Accepted, None);
        assert_eq!(decide(&accepted, None, &[], UnixNanos(999)), Step::Wait);
        assert!(matches!(decide(&accepted, None, &[], UnixNanos(1_000)), Step::Overdue(_)));
        let overdue = action(ActionKind::Retrain, ActionState::Overdue, None);
        assert_eq!(decide(&overdue, None, &[], UnixNanos(2_000)), Step::Wait);
    }

    #[test]
    fn it_is_undone_when_its_version_was_rolled_back() {
        let done = action(ActionKind::Retrain, ActionState::Done, Some("1.1"));
        let of = |version| action(ActionKind::Rollback, ActionState::Confirmed, Some(version));
        assert_eq!(decide(&done, Some(&deployment()), &[of("1.0")], UnixNanos(600)), Step::Wait);
        assert_eq!(
            decide(&done, Some(&deployment()), &[of("1.1")], UnixNanos(600)),
            Step::Undone("1.1 was rolled back (act_rollback)".into())
        );
        let mut elsewhere = of("1.1");
        elsewhere.environment = "staging".into();
        assert_eq!(decide(&done, None, &[elsewhere], UnixNanos(600)), Step::Wait);
    }
}
