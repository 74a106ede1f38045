//! A mail server that keeps what it gets: the demo's stand-in for the team's mailbox. It speaks as much SMTP as a
//! client needs (EHLO, MAIL, RCPT, DATA, RSET, NOOP, QUIT) on a loopback port.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Longest mail that is kept.
const MAX_MAIL_BYTES: usize = 1024 * 1024;

/// A mail as it came.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Envelope recipients.
    pub recipients: Vec<String>,
    /// Value of the `Subject` header.
    pub subject: String,
}

/// The server's address and what it got.
#[derive(Debug, Clone)]
pub struct SmtpSink {
    address: SocketAddr,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl SmtpSink {
    /// Listens on a free loopback port until the process ends.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let sink = Self {
            address: listener.local_addr()?,
            mails: Arc::default(),
        };
        let mails = sink.mails.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, mails.clone()));
            }
        });
        Ok(sink)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it got so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn converse(stream: TcpStream, mails: Arc<Mutex<Vec<Mail>>>) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut recipients = Vec::new();
    writer.write_all(b"220 demo mailbox\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "EHLO" | "HELO" | "MAIL" | "NOOP" => b"250 OK\r\n",
            "RSET" => {
                recipients.clear();
                b"250 OK\r\n"
            }
            "RCPT" => {
                recipients.extend(
                    line.split_once('<')
                        .and_then(|(_, rest)| rest.split_once('>'))
                        .map(|(address, _)| address.to_owned()),
                );
                b"250 OK\r\n"
            }
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                let text = read_mail(&mut lines).await?;
                let mail = Mail {
                    recipients: std::mem::take(&mut recipients),
                    subject: subject_of(&text),
                };
                mails.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
                b"250 kept\r\n"
            }
            "QUIT" => {
                writer.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => b"502 not spoken here\r\n",
        };
        writer.write_all(answer).await?;
    }
    Ok(())
}

async fn read_mail<R: tokio::io::AsyncBufRead + Unpin>(lines: &mut tokio::io::Lines<R>) -> std::io::Result<String> {
    let mut text = String::new();
    while let Some(line) = lines.next_line().await? {
        if line == "." {
            break;
        }
        if text.len() + line.len() < MAX_MAIL_BYTES {
            text.push_str(line.strip_prefix('.').unwrap_or(&line));
            text.push('\n');
        }
    }
    Ok(text)
}

/// The subject, its folded lines joined.
fn subject_of(mail: &str) -> String {
    let mut lines = mail
        .lines()
        .take_while(|line| !line.is_empty())
        .skip_while(|line| !line.to_ascii_lowercase().starts_with("subject:"));
    let first = lines
        .next()
        .and_then(|line| line.split_once(':'))
        .map_or("", |(_, value)| value.trim());
    lines
        .take_while(|line| line.starts_with([' ', '\t']))
        .fold(first.to_owned(), |subject, line| subject + " " + line.trim())
}

#[cfg(test)]
mod tests {
    use super::subject_of;

    #[test]
    fn a_folded_subject_is_read_whole() {
        assert_eq!(subject_of("From: a\nSubject: one\n two\nTo: b\n\nSubject: body"), "one two");
        assert_eq!(subject_of("From: a\n\nSubject: body"), "");
    }
}
