use super::*;

const NOW: UnixNanos = UnixNanos(1_800_000_000 * UnixNanos::SECOND);

async fn announce(state: &State, version: &str, environment: &str, event: DeploymentEvent, seconds: i64) {
    let deployment = NewDeployment {
        event,
        retrain_id: Some("rtr_1".into()),
        ..NewDeployment::seen("employment", version, environment, NOW.plus_seconds(seconds))
    };
    state.insert_deployment(&deployment, NOW.plus_seconds(seconds)).await.unwrap();
}

#[tokio::test]
async fn what_is_live_is_the_same_for_one_environment_and_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.db")).await.unwrap();
    announce(&state, "1.0", "production", DeploymentEvent::Live, 0).await;
    announce(&state, "1.1", "production", DeploymentEvent::Live, 10).await;
    announce(&state, "1.1", "production", DeploymentEvent::Retired, 20).await;
    announce(&state, "1.2", "staging", DeploymentEvent::Live, 30).await;
    announce(&state, "1.3", "production", DeploymentEvent::Candidate, 40).await;
    for (environment, seconds, expected) in [
        ("production", 15, Some("1.1")),
        ("production", 50, Some("1.0")),
        ("staging", 50, Some("1.2")),
        ("staging", 15, None),
    ] {
        let at = NOW.plus_seconds(seconds);
        let one = state.latest_live_deployment("employment", environment, None, at).await.unwrap();
        assert_eq!(one.as_ref().map(|found| found.version.as_str()), expected);
        let all = state.latest_live_deployments(None, at).await.unwrap();
        let of_all = all.into_iter().find(|found| found.environment == environment);
        assert_eq!(of_all, one, "{environment} {seconds}");
    }
    let versions = state.deployed_versions(Some("employment")).await.unwrap();
    let live_at: Vec<_> = versions.iter().map(|row| (row.version.as_str(), row.live_at)).collect();
    let at = |seconds| Some(NOW.plus_seconds(seconds));
    assert_eq!(live_at, [("1.0", at(0)), ("1.1", at(10)), ("1.3", None), ("1.2", at(30))]);
    let models = state.models_in(&["staging".into()]).await.unwrap();
    assert_eq!(models, BTreeSet::from(["employment".to_owned()]));
    assert!(state.models_in(&["qa".into()]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_retraining_is_done_where_its_model_was_deployed() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.db")).await.unwrap();
    let found = async |model: &str, environment: &str| {
        let found = state.deployment_of_retraining("rtr_1", model, environment).await.unwrap();
        found.map(|found| found.version)
    };
    announce(&state, "1.0", "production", DeploymentEvent::Retired, 0).await;
    assert_eq!(found("employment", "production").await, None, "what is retired was not made");
    announce(&state, "1.1", "production", DeploymentEvent::Candidate, 1).await;
    assert_eq!(found("employment", "production").await, Some("1.1".into()));
    assert_eq!(found("employment", "staging").await, None);
    assert_eq!(found("income", "production").await, None);
}
