use super::*;

fn at(seconds: i64) -> UnixNanos {
    UnixNanos::from_seconds(1_800_000_000 + seconds)
}

fn alert(id: &str, environment: &str) -> Alert {
    Alert {
        id: id.into(),
        rule: "slow".into(),
        series: Series {
            environment: environment.into(),
            model: "employment".into(),
            ..Series::default()
        },
        signal: "latency_p95_ms".into(),
        severity: Severity::Warning,
        state: AlertState::Firing,
        since: at(50),
        firing_since: Some(at(50)),
        resolved_at: Some(at(40)),
        last_window_end: at(50),
        last_notified_at: None,
        value: Some(900.0),
        lower: None,
        upper: None,
        threshold: Some(500.0),
        why: "Too slow.".into(),
        memory: AlertMemory::default(),
        updated_at: at(50),
    }
}

#[tokio::test]
async fn every_time_that_an_alert_fired_is_there_with_its_end() {
    use AlertState::{Firing, Inactive, Pending, Resolved};
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state.db")).await.unwrap();
    let mut transaction = state.begin().await.unwrap();
    for (id, environment) in [("alr_1", "production"), ("alr_2", "staging")] {
        save(&mut transaction, &alert(id, environment)).await.unwrap();
    }
    let changes = [
        ("alr_1", 0, Inactive, Pending),
        ("alr_1", 10, Pending, Firing),
        ("alr_1", 20, Firing, Resolved),
        ("alr_1", 30, Resolved, Firing),
        ("alr_1", 40, Firing, Resolved),
        ("alr_1", 50, Resolved, Firing),
        ("alr_2", 35, Inactive, Firing),
    ];
    for (id, seconds, from, to) in changes {
        let transition = AlertTransition {
            alert_id: id.into(),
            at: at(seconds),
            from,
            to,
            value: Some(seconds as f64),
            reason: String::new(),
        };
        insert_transition(&mut transaction, &transition).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let check = async |environment: Option<&str>, from: i64, to: i64, expected: &[(i64, Option<i64>)]| {
        let firings = state.firings("employment", environment, at(from), at(to), 10).await.unwrap();
        let bars: Vec<_> = firings.iter().map(|firing| (firing.from, firing.to)).collect();
        let expected: Vec<_> = expected.iter().map(|(from, to)| (at(*from), to.map(at))).collect();
        assert_eq!(bars, expected, "{from}..{to}");
        assert!(firings.iter().all(|firing| firing.value == Some(firing.from.seconds_since(at(0)))));
    };
    check(Some("production"), 0, 100, &[(50, None), (30, Some(40)), (10, Some(20))]).await;
    check(Some("production"), 15, 30, &[(10, Some(20))]).await;
    check(Some("production"), 25, 45, &[(30, Some(40))]).await;
    check(None, 45, 100, &[(50, None), (35, None)]).await;
    let transitions = state
        .transitions_of(&["alr_1".into(), "alr_2".into(), "alr_3".into()])
        .await
        .unwrap();
    assert_eq!(transitions.len(), changes.len());
    assert!(transitions.is_sorted_by_key(|transition| transition.at));
}
