//! A network that misbehaves: connections are cut, delayed, corrupted, and what a client sent is sent once more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// Most bytes of a connection that are kept to be sent once more.
const MAX_REPLAYED_BYTES: usize = 1 << 20;
const BUFFER_BYTES: usize = 16 << 10;

/// What happened to connections.
#[derive(Debug, Default)]
pub struct Faults {
    pub cut: AtomicU64,
    pub corrupted: AtomicU64,
    pub delayed: AtomicU64,
    pub duplicated: AtomicU64,
}

/// Listens for clients and carries their bytes to a server that may move.
pub struct Proxy {
    pub address: String,
    pub faults: Arc<Faults>,
    server: Arc<Mutex<String>>,
    misbehaves: Arc<AtomicBool>,
}

/// What is done to one direction of one connection.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// After this many bytes nothing more comes through.
    cut_after: Option<u64>,
    /// This byte is another one.
    corrupt_at: Option<u64>,
    /// Before each piece.
    delay: Option<Duration>,
}

impl Proxy {
    pub async fn start(server: &str, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let proxy = Self {
            address: listener.local_addr().expect("an address").to_string(),
            faults: Arc::default(),
            server: Arc::new(Mutex::new(server.to_owned())),
            misbehaves: Arc::new(AtomicBool::new(true)),
        };
        let (server, faults, misbehaves) = (proxy.server.clone(), proxy.faults.clone(), proxy.misbehaves.clone());
        tokio::spawn(async move {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            while let Ok((client, _)) = listener.accept().await {
                let random = ChaCha8Rng::from_rng(&mut random);
                let server = server.lock().await.clone();
                let misbehaves = misbehaves.load(Ordering::Relaxed);
                tokio::spawn(carry(client, server, random, misbehaves, faults.clone()));
            }
        });
        proxy
    }

    /// The server listens elsewhere from now on.
    pub async fn server_moved(&self, server: &str) {
        server.clone_into(&mut *self.server.lock().await);
    }

    /// New connections are carried faithfully.
    pub fn behave(&self) {
        self.misbehaves.store(false, Ordering::Relaxed);
    }
}

impl Plan {
    const FAITHFUL: Self = Self {
        cut_after: None,
        corrupt_at: None,
        delay: None,
    };

    /// Of four connections about three are left alone in a direction. Where something happens lies anywhere between the
    /// first byte and some requests later.
    fn choose(random: &mut ChaCha8Rng, faults: &Faults) -> Self {
        let place = 1_u64 << random.random_range(4..19);
        let at = Some(random.random_range(0..place));
        let counted = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        match random.random_range(0..12) {
            0 => {
                counted(&faults.cut);
                Self {
                    cut_after: at,
                    ..Self::FAITHFUL
                }
            }
            1 => {
                counted(&faults.corrupted);
                Self {
                    corrupt_at: at,
                    ..Self::FAITHFUL
                }
            }
            2 => {
                counted(&faults.delayed);
                Self {
                    delay: Some(Duration::from_millis(random.random_range(1..40))),
                    ..Self::FAITHFUL
                }
            }
            _ => Self::FAITHFUL,
        }
    }
}

async fn carry(client: TcpStream, server: String, mut random: ChaCha8Rng, misbehaves: bool, faults: Arc<Faults>) {
    // A server that is down: the client is told by a connection that closes.
    let Ok(upstream) = TcpStream::connect(&server).await else { return };
    let (there, back, replays) = match misbehaves {
        true => (
            Plan::choose(&mut random, &faults),
            Plan::choose(&mut random, &faults),
            random.random_range(0..8) == 0,
        ),
        false => (Plan::FAITHFUL, Plan::FAITHFUL, false),
    };
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = upstream.into_split();
    let forth = pump(client_read, server_write, there, replays);
    let home = pump(server_read, client_write, back, false);
    // A cut ends both directions, as a reset does.
    let sent = tokio::select! {
        sent = forth => sent,
        _ = home => Vec::new(),
    };
    if replays && !sent.is_empty() {
        faults.duplicated.fetch_add(1, Ordering::Relaxed);
        replay(&server, &sent).await;
    }
}

/// Carries one direction; what was carried where `keeps`.
async fn pump(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, plan: Plan, keeps: bool) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut carried = 0_u64;
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let piece = &mut buffer[..length];
        if let Some(delay) = plan.delay {
            tokio::time::sleep(delay).await;
        }
        if let Some(at) = plan.corrupt_at
            && (carried..carried + length as u64).contains(&at)
        {
            piece[(at - carried) as usize] ^= 0x55;
        }
        let through = plan
            .cut_after
            .map_or(length, |after| after.saturating_sub(carried).min(length as u64) as usize);
        if to.write_all(&piece[..through]).await.is_err() || through < length {
            break;
        }
        carried += length as u64;
        if keeps && kept.len() + length <= MAX_REPLAYED_BYTES {
            kept.extend_from_slice(piece);
        }
    }
    let _ = to.shutdown().await;
    kept
}

/// Sends the same bytes in a connection of their own; nobody waits for the answers.
async fn replay(server: &str, bytes: &[u8]) {
    if let Ok(mut stream) = TcpStream::connect(server).await {
        let _ = stream.write_all(bytes).await;
        let mut answers = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(1), stream.read_to_end(&mut answers)).await;
    }
}
