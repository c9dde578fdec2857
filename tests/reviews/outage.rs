//! A forge that does not answer for a while: few requests, no harm to Syncs, and previews as soon as it is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::bail;
use holdfast_tests::eventually;
use holdfast_tests::shared::{SOON, config_map, run};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::kit::{AGENT, Room, Wish};

/// Longer than the pauses between requests to a forge that does not answer.
const PATIENCE: Duration = Duration::from_secs(90);

/// A way to the forge that can be closed.
struct Way {
    port: u16,
    is_open: watch::Sender<bool>,
    /// Connections while it was closed.
    refused: Arc<AtomicUsize>,
}

impl Way {
    async fn to(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (is_open, mut state) = watch::channel(true);
        let refused = Arc::<AtomicUsize>::default();
        let way = Self { port: listener.local_addr()?.port(), is_open, refused: refused.clone() };
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if !*state.borrow_and_update() {
                    refused.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let mut closed = state.clone();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = closed.wait_for(|is_open| !is_open) => {}
                    }
                });
            }
        });
        Ok(way)
    }
}

#[test]
fn a_forge_that_is_down_is_asked_seldom_and_previews_follow_when_it_is_back() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let way = Way::to(shared.env.forge.port()).await?;
        let wish = Wish {
            repository: json!({"apiUrl": format!("https://127.0.0.1:{}/api/v1", way.port)}),
            ..Wish::default()
        };
        let room = Room::set(shared, "reviews-down", &[("a", "one"), ("b", "one")], &wish).await?;
        let mut numbers = Vec::new();
        for at in 0..4 {
            let branch = format!("change-{at}");
            room.branch(&branch, &[("a.yaml", Some(&config_map("a", &branch)))])?;
            let number = room.open(&branch, &branch).await?;
            room.says(number, &branch).await?;
            numbers.push(number);
        }
        way.is_open.send_replace(false);
        // Every preview is out of date, and the Sync follows the branch as before.
        let commit = room.git.commit(&[("b.yaml", &config_map("b", "two"))], "Another one")?;
        shared.env.ready("reviews-down", "app", Some(&commit)).await?;
        room.branch("change-0", &[("a.yaml", Some(&config_map("a", "newer")))])?;
        let path = r#"{.status.conditions[?(@.type=="Ready")].message}"#;
        eventually(SOON, "the Repository to say that the forge does not answer", || async {
            let found = room.path(path).await?;
            if !found.contains("cannot reach https://127.0.0.1:") {
                bail!("{found}");
            }
            Ok(true)
        })
        .await?;
        // Pauses of 5 and 10 seconds: however many pull requests there are, three requests or so.
        eventually(PATIENCE, "a second request", || async { Ok(way.refused.load(Ordering::Relaxed) >= 2) })
            .await?;
        let refused = way.refused.load(Ordering::Relaxed);
        assert!(refused <= 6, "{refused} requests while the forge was down");
        way.is_open.send_replace(true);
        eventually(PATIENCE, "the Repository to be Ready", || async {
            Ok(room.path(path).await?.is_empty())
        })
        .await?;
        room.says(numbers[0], "newer").await?;
        for number in numbers {
            room.state(number, "Previewed").await?;
        }
        Ok(())
    })
}
